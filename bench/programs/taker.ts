/**
 * Takes and releases in batches of tinybench: `taker.js TAKER`. Lines of JSON tell it what to do and for how long. It
 * can also hold the lock, so that another process is refused.
 */
import {createInterface} from 'node:readline';
import {load} from '../harness/load.js';
import {type GiveBack, type Taker, type TakerName, takers} from '../harness/takers.js';

export interface Batch {
	readonly do: 'cycle' | 'refused' | 'hold' | 'drop';
	readonly address: string;
	readonly milliseconds: number;
}

interface Tinybench {
	readonly Bench: new (
		options: object,
	) => {
		add(name: string, run: () => Promise<void>, options: {readonly async: true}): unknown;
		run(): Promise<unknown>;
		readonly tasks: readonly {readonly result: TaskResult}[];
	};
}

interface TaskResult {
	readonly error?: Error;
	readonly latency: {readonly mean: number; readonly samplesCount: number};
}

let take: (address: string) => GiveBack | Promise<GiveBack>;
let held: GiveBack | undefined;

async function main(): Promise<void> {
	const taker = takers[process.argv[2] as TakerName];
	take = taker.take ?? (await (taker.prepare as NonNullable<Taker['prepare']>)());
	const {Bench} = await load<Tinybench>('tinybench');
	for await (const line of createInterface({input: process.stdin})) {
		const batch = JSON.parse(line) as Batch;
		say({event: 'done', ...(await obey(batch, Bench))});
	}
	process.exit(0);
}

async function obey({do: what, address, milliseconds}: Batch, Bench: Tinybench['Bench']): Promise<object> {
	if (what === 'hold') held = await take(address);
	if (what === 'drop') await held?.();
	if (what === 'hold' || what === 'drop') return {};
	const bench = new Bench({time: milliseconds, iterations: 3, warmup: false, throws: true});
	const once = what === 'cycle' ? cycle : beRefused;
	// Stated explicitly: tinybench would call the function once to find out, without awaiting it.
	bench.add(what, () => once(address), {async: true});
	await bench.run();
	const {latency} = (bench.tasks[0] as (typeof bench.tasks)[number]).result;
	return {microseconds: latency.mean * 1000, samples: latency.samplesCount};
}

async function cycle(address: string): Promise<void> {
	const giveBack = await take(address);
	await giveBack();
}

async function beRefused(address: string): Promise<void> {
	let got: GiveBack;
	try {
		got = await take(address);
	} catch {
		return;
	}
	await got();
	throw new Error(`${process.argv[2]}: it was free`);
}

function say(event: object): void {
	process.stdout.write(`${JSON.stringify(event)}\n`);
}

await main();
