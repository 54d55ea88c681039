/**
 * From the SIGKILL of a serving holder to its successor accepting a connection: bindlock's ways of
 * waiting beside a C program that blocks in flock and then binds, in turn, in one run.
 */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

const rounds = Number(process.argv[2] ?? 40);
const successor = fileURLToPath(new URL('successor.js', import.meta.url));

interface Way {
	readonly name: string;
	readonly command: readonly string[];
	readonly env: Readonly<Record<string, string>>;
	readonly times: number[];
}

async function main(): Promise<void> {
	const directory = mkdtempSync('/dev/shm/bindlock-takeover-');
	const address = join(directory, 's');
	const ways: Way[] = [
		{name: 'bindlock, queued by flock(1)', command: [process.execPath, successor, address], env: {}, times: []},
		{
			name: 'bindlock, trying with the addon',
			command: [process.execPath, successor, address],
			env: {BINDLOCK_FLOCK: 'addon'},
			times: [],
		},
	];
	const compiled = compile(directory);
	if (compiled !== undefined)
		ways.unshift({name: 'C, blocked in flock', command: [compiled, `${address}.lock`, address], env: {}, times: []});
	try {
		for (let round = 0; round < rounds; round++) {
			for (const way of ways) way.times.push(await takeOver(address, way));
		}
	} finally {
		rmSync(directory, {recursive: true});
	}
	const limit = compiled === undefined ? undefined : median(ways[0]?.times ?? []);
	for (const {name, times} of ways) {
		const ratio = limit === undefined ? '' : `, ${(median(times) / limit).toFixed(2)} times C`;
		console.log(
			`${name}: median ${median(times).toFixed(2)} ms (${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)})${ratio}`,
		);
	}
}

async function takeOver(address: string, way: Way): Promise<number> {
	const holder = start([process.execPath, successor, address], {});
	await says(holder, 'serving');
	const next = start(way.command, way.env);
	await says(next, 'waiting');
	// The shell and its flock(1) are started after the word; the kernel has queued them by then.
	await new Promise(resolve => setTimeout(resolve, 150));
	const begin = performance.now();
	process.kill(holder.pid ?? 0, 'SIGKILL');
	while ((await reach(address)) !== next.pid) {}
	const elapsed = performance.now() - begin;
	next.kill('SIGKILL');
	await once(next, 'exit');
	return elapsed;
}

function start([command = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
	return spawn(command, args, {stdio: ['ignore', 'pipe', 'inherit'], env: {...process.env, ...env}});
}

async function says(child: ChildProcess, event: string): Promise<void> {
	const lines = createInterface({input: child.stdout as NonNullable<ChildProcess['stdout']>});
	for await (const line of lines) if ((JSON.parse(line) as {event: string}).event === event) return;
	throw new Error(`it never said ${event}`);
}

function reach(address: string): Promise<number | undefined> {
	return new Promise(resolve => {
		const socket = connect(address);
		socket.on('data', data => resolve(Number.parseInt(String(data), 10)));
		socket.on('error', () => resolve(undefined)).on('close', () => resolve(undefined));
	});
}

function compile(directory: string): string | undefined {
	const source = fileURLToPath(new URL('../../bench/c/successor.c', import.meta.url));
	const output = join(directory, 'successor');
	return spawnSync('cc', ['-O2', '-o', output, source], {stdio: 'inherit'}).status === 0 ? output : undefined;
}

function median(values: readonly number[]): number {
	return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

await main();
