/**
 * Compiles the sources first, so that no test runs on stale output. In CI the output is TAP, which can be counted.
 *
 * BINDLOCK_TESTS selects the files: `usual` for `npm test`, `rest` for all others, `quick` for `npm run test:quick`.
 * Without it, the files on the command line run, or all files.
 */
import {availableParallelism} from 'node:os';
import {compile} from './scripts/compile.js';

/** Minutes: many processes or states, other users, filesystems and programs. */
const rest = [
	'build/test/**/*.deep.test.js',
	'build/test/{documentation,frameworks,package,runtimes,storm}/**/*.test.js',
	'build/test/api/{crash,users,versions}.test.js',
	'build/test/cli/escaping.test.js',
	'build/test/cli/doctor/*.test.js',
	'build/test/cli/list/{hanging-mount,list}.test.js',
	'build/test/cli/run/{command-line,descriptors,process-one,servers}.test.js',
	'build/test/kernel/files/lock-file-descriptor.test.js',
	'build/test/kernel/flock/{choice,command,lock-holders,proc-locks}.test.js',
	'build/test/kernel/sockets/{lock-socket,lock-socket-client,other-views}.test.js',
	'build/test/protocol/filesystems.test.js',
	'build/test/server/{cleaners,file-guard.directory}.test.js',
];

/** Seconds: at most a few processes each. */
const quick = [
	'build/test/model/{attempt,backoff,errors,file-identity,options,record}.test.js',
	'build/test/cli/run/generations.test.js',
	'build/test/api/{listen,listen.failures}.test.js',
	'build/test/kernel/{address-parser,deadline}.test.js',
	'build/test/kernel/proc/*.test.js',
	'build/test/kernel/mounts/hanging-mounts.test.js',
	'build/test/kernel/sockets/{padded-name,unix-sockets}.test.js',
	'build/test/protocol/{close,held-lock,lock-file,pathname}.test.js',
	'build/test/simulation/kernel.test.js',
];

const all = 'build/test/**/*.test.js';
const selections = {
	quick,
	usual: [all, ...rest.map(pattern => `!${pattern}`)],
	rest,
	all: [all],
};

await compile();

export default {
	files: selections[process.env.BINDLOCK_TESTS ?? 'all'],
	workerThreads: false,
	// Many tests wait for other processes most of the time.
	concurrency: Math.max(3, availableParallelism()),
	timeout: '5m',
	tap: process.env.CI === 'true',
};
