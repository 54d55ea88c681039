/**
 * Tests the lock file: which files are accepted, what is written, and which files stay unchanged.
 */
import {spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError} from '../../src/index.js';
import {noPgrep, testUnless} from '../helpers/abilities.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks, countDescriptors} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {treeOf} from '../helpers/tree.js';

checkLeaks();

/** For each kind of foreign file: the code of the refusal, and a function that creates the file at `<path>.lock`. */
const occupants: Readonly<
	Record<string, readonly [code: string, make: (lockPath: string, t: ExecutionContext) => unknown]>
> = {
	'a symbolic link to a file': [
		'ELOOP',
		path => {
			writeFileSync(`${path}.target`, '');
			symlinkSync(`${path}.target`, path);
		},
	],
	'a symbolic link to nothing': ['ELOOP', path => symlinkSync(`${path}.target`, path)],
	'a symbolic link to itself': ['ELOOP', path => symlinkSync(path, path)],
	'a directory, as proper-lockfile makes it': ['EISDIR', path => mkdirSync(path)],
	'a directory with a file in it': [
		'EISDIR',
		path => {
			mkdirSync(path);
			writeFileSync(join(path, 'pid'), '1234');
		},
	],
	'the socket of a live server': [
		'ENXIO',
		async (path, t) => {
			const server = createServer().listen(path);
			await once(server, 'listening');
			t.teardown(() => server.close());
		},
	],
	'a stale socket': ['ENXIO', path => makeStale(path)],
	'a FIFO': ['ERR_LOCK_FILE_TYPE', path => run('mkfifo', path)],
	'one of two names of an empty file': [
		'EMLINK',
		path => {
			writeFileSync(path, '');
			linkSync(path, `${path}.other`);
		},
	],
	'one of two names of a file with a record': [
		'EMLINK',
		path => {
			writeFileSync(path, '1234\n');
			linkSync(path, `${path}.other`);
		},
	],
	'a file with text': ['ERR_LOCK_FILE_FOREIGN', path => writeFileSync(path, '# yarn lockfile v1\n\n"a@1":\n')],
	'a file with JSON': ['ERR_LOCK_FILE_FOREIGN', path => writeFileSync(path, '{"lockfileVersion":3}\n')],
	'the lock file of a PostgreSQL server': [
		'ERR_LOCK_FILE_FOREIGN',
		path => writeFileSync(path, '1234\n/var/lib/postgresql/16/main\n1700000000\n5432\n'),
	],
	'a long file that begins like a record': [
		'ERR_LOCK_FILE_FOREIGN',
		path => writeFileSync(path, `1234\n{"bindlock":1}${'\n'.repeat(5000)}`),
	],
	'a large file of NULs': ['ERR_LOCK_FILE_FOREIGN', path => writeFileSync(path, Buffer.alloc(100_000))],
};

for (const [what, [code, make]] of Object.entries(occupants)) {
	test.serial(`the lock file is ${what}: refused with ${code}, and no file changes`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		await makeStale(address);
		await make(`${address}.lock`, t);
		const before = treeOf(directory);
		const descriptors = countDescriptors();
		const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code});
		t.is(countDescriptors(), descriptors);
		t.deepEqual(treeOf(directory), before);
		t.like(error, {address, path: `${address}.lock`});
		t.true(error?.message.startsWith(`Cannot use the lock file ${address}.lock: `), error?.message);
	});
}

for (const [what, content] of Object.entries({
	'no content': '',
	'a bare pid': '1234\n',
	'a pid without a newline': '      1234',
	NULs: '\0'.repeat(512),
	'a record of ours': '1234\n{"bindlock":1,"pid":1234,"fd":3}\n',
	'a longer record of ours': `1234\n${JSON.stringify({bindlock: 1, label: 'x'.repeat(2000)})}\n`,
	'half a record of ours': '1234\n{"bindlock":1,"pi',
})) {
	test.serial(`the lock file has ${what}: it is used, and overwritten by our record`, async t => {
		const address = join(temporaryDirectory(t), 's');
		writeFileSync(`${address}.lock`, content, {mode: 0o640});
		const {ino, mode} = statSync(`${address}.lock`);
		const lock = await acquire(address, {label: 'blue'});
		const [first, second, ...rest] = readFileSync(`${address}.lock`, 'utf8').split('\n');
		t.is(first, String(process.pid));
		t.like(JSON.parse(second ?? ''), {bindlock: 1, pid: process.pid, label: 'blue'});
		t.deepEqual(rest, ['']);
		t.like(statSync(`${address}.lock`), {ino, mode});
		await lock.release();
		t.like(statSync(`${address}.lock`), {ino, mode, size: 0});
	});
}

testUnless(noPgrep())('pgrep -F reads the holder from the lock file, and pgrep -L checks the lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lockPath = `${address}.lock`;
	const program = start(t, 'holder', ['acquire', address]);
	await program.expect('held');
	t.like(run('pgrep', '-F', lockPath), {status: 0, stdout: `${program.pid}\n`});
	t.like(run('pgrep', '-L', '-F', lockPath), {status: 0, stdout: `${program.pid}\n`});
	await program.kill();
	t.not(run('pgrep', '-L', '-F', lockPath).status, 0, 'the record stays after a crash, but the lock does not');
	await (await acquire(address)).release();
	t.not(run('pgrep', '-F', lockPath).status, 0, 'after release() the file is empty');
});

test.serial('lockFileMode is the mode of a new lock file, whatever the umask', async t => {
	const directory = temporaryDirectory(t);
	const umask = process.umask(0o022);
	t.teardown(() => process.umask(umask));
	for (const [options, expected] of [
		[{}, 0o600],
		[{lockFileMode: 0o666}, 0o666],
		[{lockFileMode: 0o660}, 0o660],
		[{lockFileMode: 0o400}, 0o400],
	] as const) {
		const address = join(directory, expected.toString(8));
		const lock = await acquire(address, options);
		t.is(statSync(`${address}.lock`).mode & 0o7777, expected);
		await lock.release();
	}
	process.umask(0o077);
	const address = join(directory, 'private');
	const lock = await acquire(address, {lockFileMode: 0o666});
	t.is(statSync(`${address}.lock`).mode & 0o7777, 0o666);
	await lock.release();
});

function run(command: string, ...args: readonly string[]): {status: number | null; stdout: string} {
	return spawnSync(command, args, {encoding: 'utf8'});
}
