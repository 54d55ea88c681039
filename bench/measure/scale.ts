/**
 * Costs that grow with numbers: addresses held by one process, locks on the machine, waiters for one address.
 */
import {mkdirSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {until} from '../../test/helpers/deadlines.js';
import type {Event, Program} from '../../test/helpers/programs.js';
import type {Context} from '../harness/context.js';
import type {Measurement, Outcome, Unavailable} from '../harness/results.js';

export const metrics = {
	take: 'taking one more',
	memory: 'memory of one more',
	refusal: 'a refusal',
	first: 'SIGKILL to the first successor',
	each: 'one hand-over',
} as const;

/** Values by curve and position. */
class Curves {
	readonly measurements: Map<string, Measurement & {readonly values: number[]}> = new Map();

	add(subject: string, metric: string, unit: string, x: number, value: number): void {
		const key = `${subject} ${metric} ${x}`;
		const measurement = this.measurements.get(key) ?? {subject, metric, x, unit, values: []};
		measurement.values.push(value);
		this.measurements.set(key, measurement);
	}
}

export async function scale(context: Context): Promise<Outcome> {
	const curves = new Curves();
	const unavailable: Unavailable[] = [];
	await addresses(context, curves, unavailable);
	await refusals(context, curves);
	await waiters(context, curves);
	return {measurements: [...curves.measurements.values()], unavailable};
}

const kinds = {
	acquire: {subject: 'acquire', descriptors: 1},
	listen: {subject: 'listen', descriptors: 2},
	abstract: {subject: 'acquire, abstract', descriptors: 1},
} as const;

/** The descriptors that a process has open besides. */
const otherDescriptors = 100;

async function addresses(context: Context, curves: Curves, unavailable: Unavailable[]): Promise<void> {
	const rounds = context.quick ? 2 : 5;
	for (const [kind, {subject, descriptors}] of Object.entries(kinds)) {
		const steps = context.quick ? [10, 100, 1000] : [10, 100, 1000, 10_000];
		const possible = steps.filter(step => descriptors * step + otherDescriptors < mostDescriptors());
		for (const step of steps.filter(step => !possible.includes(step))) {
			const reason = `each takes ${descriptors} descriptors, and this machine allows a process ${mostDescriptors()}`;
			unavailable.push({subject: `${subject}, ${step} addresses`, reason});
		}
		for (let round = 0; round < rounds; round++) {
			context.progress(round, rounds, `addresses of one process: ${subject}`);
			const directory = join(context.places.tmpfs, `${kind}${round}`);
			mkdirSync(directory);
			const options = {nodeOptions: ['--expose-gc']};
			// The kernel's table of sockets is read for each abstract name, so ten thousand names take minutes: one round
			// is enough.
			const taken = possible.filter(step => kind !== 'abstract' || step <= 1000 || round === 0);
			const program = context.start('many', [kind, directory, ...taken.map(String)], options);
			for (const step of taken) {
				const {microseconds, kibibytes} = await nextStep(program);
				curves.add(subject, metrics.take, 'µs', step, Number(microseconds));
				curves.add(subject, metrics.memory, 'KiB', step, Number(kibibytes));
			}
			await program.exited;
		}
	}
}

async function nextStep(program: Program): Promise<Event> {
	for (;;) {
		const event = await program.next();
		if (event.event === 'step') return event;
	}
}

/** The limit that Node sets when it starts. */
function mostDescriptors(): number {
	const line = /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
	return line?.[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line?.[1]);
}

async function refusals(context: Context, curves: Curves): Promise<void> {
	const address = join(context.places.tmpfs, 'taken');
	const holder = context.start('keeper', ['hold', 'bindlock, acquire', address]);
	await holder.expect('ready');
	const crowd = context.start('crowd', [context.places.tmpfs]);
	const worker = context.start('taker', ['bindlock, addon']);
	const refuse = async (milliseconds: number): Promise<number> => {
		worker.send(JSON.stringify({do: 'refused', address, milliseconds}));
		return Number((await worker.expect('done'))['microseconds']);
	};
	await refuse(500);
	const steps = [1, 10, 100, 1000, 10_000].filter(step => step + 50 < mostDescriptors());
	const rounds = context.quick ? 4 : 20;
	for (let round = 0; round < rounds; round++) {
		for (const step of steps) {
			context.progress(round, rounds, 'refusals beside other locks');
			crowd.send(String(step));
			await crowd.expect('has');
			curves.add('bindlock', metrics.refusal, 'µs', step, await refuse(40));
		}
	}
	await Promise.all([holder.kill(), crowd.kill(), worker.kill()]);
}

async function waiters(context: Context, curves: Curves): Promise<void> {
	const steps = context.quick ? [1, 10, 50] : [1, 2, 5, 10, 20, 50, 100, 200];
	const rounds = context.quick ? 2 : 7;
	for (let round = 0; round < rounds; round++) {
		for (const count of steps) {
			context.progress(round, rounds, `${count} waiters on one address`);
			const {first, each} = await queue(context, join(context.places.tmpfs, `queue${round}-${count}`), count);
			curves.add('bindlock', metrics.first, 'ms', count, first);
			if (count > 1) curves.add('bindlock', metrics.each, 'ms', count, each);
		}
	}
}

async function queue(context: Context, address: string, count: number): Promise<{first: number; each: number}> {
	const holder = context.start('keeper', ['hold', 'bindlock, acquire', address]);
	await holder.expect('ready');
	const {ino} = statSync(`${address}.lock`);
	const waiting = context.start('queue', [address, String(count)]);
	await until(() => waitersOf(ino) === count, `${count} waiters in the kernel's queue`);
	const began = process.hrtime.bigint();
	process.kill(holder.pid, 'SIGKILL');
	const {first, last} = await waiting.expect('through');
	await waiting.exited;
	const milliseconds = (from: bigint, to: unknown): number => Number(BigInt(String(to)) - from) / 1e6;
	return {first: milliseconds(began, first), each: milliseconds(BigInt(String(first)), last) / Math.max(1, count - 1)};
}

/** Counts the processes in the kernel's queue for the lock of this file. */
function waitersOf(inode: number): number {
	const lines = readFileSync('/proc/locks', 'utf8').split('\n');
	return lines.filter(line => line.includes('-> FLOCK') && line.includes(`:${inode} `)).length;
}
