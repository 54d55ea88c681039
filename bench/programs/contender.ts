/**
 * One of several processes that want to serve on the same addresses: told by lines of JSON to try at a
 * moment, to try again and again until it serves, or to stop.
 */
import {createInterface} from 'node:readline';
import {type Stop, type WayName, ways} from '../harness/ways.js';

export interface Order {
	readonly do: 'try' | 'persist' | 'stop';
	readonly way: WayName;
	readonly address: string;
	/** For `try`: when, in milliseconds of the epoch, so that all begin together. */
	readonly at?: number;
	/** For `persist`: the longest pause between two tries. */
	readonly pauseMs?: number;
}

const serving = new Map<string, Stop>();
const trying = new Map<string, Promise<void>>();
const given = new Set<string>();

function say(event: string, fields: object = {}): void {
	process.stdout.write(`${JSON.stringify({event, ...fields})}\n`);
}

async function tryOnce({way, address}: Order): Promise<boolean> {
	try {
		serving.set(address, await ways[way].serve(address));
		say('serving', {address});
		return true;
	} catch (error) {
		const {code, message} = error as NodeJS.ErrnoException;
		if (!given.has(address)) say('refused', {address, code, message});
		return false;
	}
}

async function persist(order: Order): Promise<void> {
	given.add(order.address);
	while (given.has(order.address) && !(await tryOnce(order))) {
		await new Promise(resolve => setTimeout(resolve, Math.random() * (order.pauseMs ?? 4)));
	}
}

async function stop({address}: Order): Promise<void> {
	given.delete(address);
	await trying.get(address);
	// Giving back what somebody else has given back meanwhile fails, in some ways.
	await serving
		.get(address)?.()
		.catch(error => say('trouble', {message: String(error)}));
	serving.delete(address);
	say('stopped', {address});
}

createInterface({input: process.stdin})
	.on('line', line => {
		const order = JSON.parse(line) as Order;
		if (order.do === 'stop') return void stop(order);
		if (order.do === 'persist') return void trying.set(order.address, persist(order));
		// Spun, not slept: a timer is late by different amounts in each process.
		while (Date.now() < (order.at ?? 0)) {}
		trying.set(
			order.address,
			tryOnce(order).then(() => {}),
		);
	})
	.on('close', () => process.exit(0));
process.on('uncaughtException', error => say('trouble', {message: error.message}));
say('ready');
