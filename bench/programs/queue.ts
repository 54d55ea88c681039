/**
 * Waits for one address several times at once: `queue.js ADDRESS COUNT`. Each waiter releases the address at once. At
 * the end the program reports when the first and the last had it, in nanoseconds of CLOCK_MONOTONIC.
 */
import {acquire} from '../../src/index.js';

const [, , address = '', count = '1'] = process.argv;
const turns: bigint[] = [];

async function waitAndRelease(): Promise<void> {
	const lock = await acquire(address, {waitMs: Number.POSITIVE_INFINITY});
	turns.push(process.hrtime.bigint());
	await lock.release();
}

await Promise.all(Array.from({length: Number(count)}, waitAndRelease));
console.log(JSON.stringify({event: 'through', first: String(turns[0]), last: String(turns.at(-1))}));
