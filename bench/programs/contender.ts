/**
 * One of several processes that compete for the same addresses. Lines of JSON tell it to try once at a given time, to
 * try until it serves, or to stop.
 */
import {createInterface} from 'node:readline';
import {type Stop, type WayName, ways} from '../harness/ways.js';

export interface Order {
	readonly do: 'try' | 'persist' | 'stop';
	readonly way: WayName;
	readonly address: string;
	/** For `try`: the time, in milliseconds of the epoch, so that all processes begin together. */
	readonly at?: number;
	/** For `persist`: the longest pause between two attempts. */
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
	// Some ways fail to release what another process has released.
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
		// A busy wait: timers are late by different amounts in each process.
		while (Date.now() < (order.at ?? 0)) {}
		trying.set(
			order.address,
			tryOnce(order).then(() => {}),
		);
	})
	.on('close', () => process.exit(0));
process.on('uncaughtException', error => say('trouble', {message: error.message}));
say('ready');
