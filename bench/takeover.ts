/**
 * From the SIGKILL of a serving holder to its successor accepting connections: bindlock's ways of
 * waiting beside a C program that blocks in flock and then binds, in turn, in one run. The successor
 * says when it listened, on the clock that all processes share, and a client then tries it: one that
 * tried all the time would take from the successor one of few processors.
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
	await heard(holder, 'serving');
	const next = start(way.command, way.env);
	await heard(next, 'waiting');
	// The shell and its flock(1) are started after the word; the kernel has queued them by then.
	await new Promise(resolve => setTimeout(resolve, 150));
	const begin = process.hrtime.bigint();
	process.kill(holder.pid ?? 0, 'SIGKILL');
	const {at} = await heard(next, 'serving');
	if ((await reach(address)) !== next.pid) throw new Error('the successor does not answer');
	next.kill('SIGKILL');
	await once(next, 'exit');
	return Number(BigInt(at ?? '') - begin) / 1e6;
}

function start([command = '', ...args]: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
	return spawn(command, args, {stdio: ['ignore', 'pipe', 'inherit'], env: {...process.env, ...env}});
}

interface Said {
	readonly event: string;
	/** Nanoseconds of CLOCK_MONOTONIC. */
	readonly at?: string;
}

/** The first line that tells of this event. */
async function heard(child: ChildProcess, event: string): Promise<Said> {
	const output = child.stdout as NonNullable<ChildProcess['stdout']>;
	const lines = createInterface({input: output});
	try {
		for await (const line of lines) {
			const said = JSON.parse(line) as Said;
			if (said.event === event) return said;
		}
	} finally {
		lines.close();
	}
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
