/**
 * One-time costs of a program: the import, the first listen, and the command around another program. Whole processes,
 * by turns, so that noise affects all of them.
 */
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Context} from '../harness/context.js';
import {type Measurement, type Outcome, root} from '../harness/results.js';

export const metrics = {
	process: 'whole process',
	memory: 'memory at its end',
	listen: 'call to listening',
	command: 'whole command',
} as const;

export const subjects = {
	bare: 'bare Node',
	ours: 'importing bindlock',
	proper: 'importing proper-lockfile',
	serverListen: 'server.listen',
	listen: 'bindlock, addon',
	listenCommand: 'bindlock, flock(1)',
	listenAbstract: 'bindlock, abstract',
	true: 'true',
	node: 'node -e 0',
	run: 'bindlock run … true',
} as const;

type Add = (subject: string, metric: string, unit: string, value: number) => void;

export async function startup(context: Context): Promise<Outcome> {
	const measurements = new Map<string, Measurement & {readonly values: number[]}>();
	const add: Add = (subject, metric, unit, value) => {
		const key = `${subject} ${metric}`;
		const measurement = measurements.get(key) ?? {subject, metric, unit, values: []};
		measurement.values.push(value);
		measurements.set(key, measurement);
	};
	const directory = context.places.tmpfs;
	const imports = writeImports(directory);
	const rounds = context.quick ? 5 : 40;
	for (let round = 0; round < rounds; round++) {
		context.progress(round, rounds, 'rounds');
		for (const [subject, script] of Object.entries(imports)) measureImport(add, subject, script);
		measureListen(add, directory);
		measureCommands(add, directory);
	}
	return {measurements: [...measurements.values()]};
}

const built = (name: string): string => fileURLToPath(new URL(`dist/${name}`, root));

function writeImports(directory: string): Readonly<Record<string, string>> {
	const properLockfile = fileURLToPath(new URL('node_modules/proper-lockfile/index.js', root));
	const sources = {
		[subjects.bare]: '',
		[subjects.ours]: `import ${JSON.stringify(built('index.js'))};`,
		[subjects.proper]: `import ${JSON.stringify(properLockfile)};`,
	};
	const scripts: Record<string, string> = {};
	for (const [index, [subject, source]] of Object.entries(sources).entries()) {
		scripts[subject] = join(directory, `import${index}.mjs`);
		const said = 'process.stdout.write(String(process.memoryUsage.rss()));';
		writeFileSync(scripts[subject], `import 'node:net';\n${source}\n${said}\n`);
	}
	return scripts;
}

function measureImport(add: Add, subject: string, script: string): void {
	const {milliseconds, output} = whole([process.execPath, script]);
	add(subject, metrics.process, 'ms', milliseconds);
	add(subject, metrics.memory, 'MiB', Number(output) / 2 ** 20);
}

/** The first call in a process, with all modules that it loads; then the process ends. */
function measureListen(add: Add, directory: string): void {
	const address = join(directory, 'listen');
	const ways = {
		[subjects.serverListen]: ['bare', address, ''],
		[subjects.listen]: ['bindlock', address, 'addon'],
		[subjects.listenCommand]: ['bindlock', address, 'command'],
		[subjects.listenAbstract]: ['bindlock', `unix:@${address}`, ''],
	};
	const script = join(directory, 'listen.mjs');
	writeFileSync(
		script,
		`import {createServer} from 'node:net';
import {listen} from ${JSON.stringify(built('index.js'))};
const [way, address] = process.argv.slice(2);
const server = createServer();
const began = performance.now();
if (way === 'bare') await new Promise(resolve => server.listen(address, resolve));
else await listen(server, address);
process.stdout.write(String(performance.now() - began));
server.close();
`,
	);
	for (const [subject, [way = '', target = '', flock = '']] of Object.entries(ways)) {
		const {output} = whole([process.execPath, script, way, target], {BINDLOCK_FLOCK: flock});
		add(subject, metrics.listen, 'ms', Number(output));
	}
}

function measureCommands(add: Add, directory: string): void {
	const run = [process.execPath, built('library/cli.cjs'), 'run', join(directory, 'run'), '--', 'true'];
	const commands = {[subjects.true]: ['true'], [subjects.node]: [process.execPath, '-e', '0'], [subjects.run]: run};
	for (const [subject, command] of Object.entries(commands))
		add(subject, metrics.command, 'ms', whole(command).milliseconds);
}

function whole(
	[command = '', ...args]: readonly string[],
	env: Readonly<Record<string, string>> = {},
): {milliseconds: number; output: string} {
	const began = performance.now();
	const {status, stdout, stderr} = spawnSync(command, args, {encoding: 'utf8', env: {...process.env, ...env}});
	const milliseconds = performance.now() - began;
	if (status !== 0) throw new Error(`${command} ${args.join(' ')}: status ${status}\n${stderr}`);
	return {milliseconds, output: stdout};
}
