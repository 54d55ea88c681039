/**
 * Takes an increasing number of addresses and holds them all: `many.js acquire|listen|abstract DIRECTORY STEP…`.
 * Reports at each step the cost of one of the latest addresses.
 */
import {createServer} from 'node:net';
import {join} from 'node:path';
import {acquire, type BindLock, listen} from '../../src/index.js';

const [, , kind = '', directory = '', ...steps] = process.argv;

const take: Readonly<Record<string, (address: string) => Promise<BindLock>>> = {
	acquire: address => acquire(address),
	listen: address => listen(createServer(), address),
	abstract: address => acquire(`\0${address}`),
};

async function main(): Promise<void> {
	const takeOne = take[kind] as (address: string) => Promise<BindLock>;
	// The first call loads the modules.
	await (await takeOne(join(directory, 'first'))).release();
	const locks: BindLock[] = [];
	for (const step of steps.map(Number)) {
		const had = locks.length;
		const memoryBefore = privateMemory();
		const began = performance.now();
		while (locks.length < step) {
			locks.push(await takeOne(join(directory, String(locks.length))));
			// Reports progress, because the parent has a deadline for silence.
			if (locks.length % 500 === 0) say({event: 'on'});
		}
		const elapsed = performance.now() - began;
		const taken = step - had;
		say({event: 'step', microseconds: (elapsed * 1000) / taken, kibibytes: (privateMemory() - memoryBefore) / taken});
	}
	const began = performance.now();
	const held = locks.length;
	for (const lock of locks) await lock.release();
	say({event: 'released', microseconds: ((performance.now() - began) * 1000) / held});
	process.exit(0);
}

/** In KiB, after a garbage collection. */
function privateMemory(): number {
	globalThis.gc?.();
	return process.memoryUsage.rss() / 1024;
}

function say(event: object): void {
	console.log(JSON.stringify(event));
}

await main();
