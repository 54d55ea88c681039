/**
 * Makes calls on a crowded machine: `crowded.js DIRECTORY`, then the name of a call on each line of input.
 */
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {acquire, type BindLock, inspect} from '../../src/index.js';
import type {CrowdedCall} from './crowded-calls.js';

const directory = process.argv[2] ?? '';
const own = join(directory, 'own');
mkdirSync(own);

// Servers of this process count as any others.
const [foreign, held] = [join(own, 'foreign'), join(own, 'held')];
await new Promise(resolve => createServer().listen(foreign, () => resolve(undefined)));
await acquire(held);

let count = 0;
let last = 0;
let longest = 0;

function tick(): void {
	const now = performance.now();
	longest = Math.max(longest, now - last);
	last = now;
	setImmediate(tick);
}

const release = async (taking: Promise<BindLock>): Promise<void> => (await taking).release();
const refused = (taking: Promise<BindLock>): Promise<void> =>
	taking.then(
		() => {
			throw new Error('it was free');
		},
		() => {},
	);

const calls: Readonly<Record<CrowdedCall, () => Promise<unknown>>> = {
	'acquire, free': () => release(acquire(join(own, `free${count}`))),
	'acquire, stale': () => release(acquire(join(own, `stale${count}`))),
	'acquire, a foreign server': () => refused(acquire(foreign)),
	'acquire, one of the 20,000': () => refused(acquire(join(directory, 'd7', 'app.sock'))),
	'acquire, held': () => refused(acquire(held)),
	'inspect, free': () => inspect(join(own, `none${count}`)),
	'inspect, a foreign server': () => inspect(foreign),
	'inspect, held': () => inspect(held),
	'acquire, abstract and free': () => release(acquire(`\0bindlock-bench-${process.pid}-${count}`)),
};

/** Leaves a socket file without a server. */
function makeStale(path: string): void {
	const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
	spawnSync(process.execPath, ['-e', script]);
}

tick();
for await (const line of createInterface({input: process.stdin})) {
	count++;
	if (line === 'acquire, stale') makeStale(join(own, `stale${count}`));
	await new Promise(resolve => setTimeout(resolve, 20));
	last = performance.now();
	longest = 0;
	const began = performance.now();
	await calls[line as CrowdedCall]();
	const time = performance.now() - began;
	await new Promise(resolve => setImmediate(resolve));
	console.log(JSON.stringify({event: 'done', time, block: longest}));
}
process.exit(0);
