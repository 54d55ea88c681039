/**
 * The cost of doing nothing: one waiter, a hundred waiters in one process, and a holder, as the kernel counts it over
 * the same period, beside an idle Node.
 */
import {join} from 'node:path';
import type {Program} from '../../test/helpers/programs.js';
import {type Context, sleep} from '../harness/context.js';
import {type Cost, costOf} from '../harness/cost.js';
import {obstacle} from '../harness/load.js';
import type {Measurement, Outcome, Unavailable} from '../harness/results.js';
import {type Wait, type WaitName, waitNames, waits} from '../harness/waits.js';

export const roles = {one: 'one waiter', hundred: 'a hundred waiters', holder: 'a holder'} as const;
export const idle = 'idle Node';

interface Kept {
	readonly subject: string;
	readonly role: string;
	readonly program: Program;
}

export async function waiting(context: Context): Promise<Outcome> {
	const unavailable: Unavailable[] = [];
	const kept = [...(await startWaiters(context, unavailable)), ...(await startHolders(context))];
	// The start is not part of the cost: children start, and V8 collects that garbage after about 40 s of idleness (seen
	// with --trace-gc), which takes 50 ms and frees half of the memory.
	await pass(context, context.quick ? 3 : 60, 'seconds to settle');
	const before = kept.map(one => costOf(one.program.pid));
	const began = performance.now();
	await pass(context, context.quick ? 5 : 60, 'seconds');
	const elapsed = (performance.now() - began) / 1000;
	const after = kept.map(one => costOf(one.program.pid));
	const measurements = kept.flatMap(({subject, role}, index) =>
		describe(subject, role, before[index] as Cost, after[index] as Cost, elapsed),
	);
	return {measurements, unavailable};
}

async function pass(context: Context, seconds: number, what: string): Promise<void> {
	for (let second = 0; second < seconds; second++) {
		context.progress(second, seconds, what);
		await sleep(1000);
	}
}

function describe(subject: string, role: string, before: Cost, after: Cost, seconds: number): Measurement[] {
	const values = {
		'processor time': {unit: 'ms/min', value: ((after.cpuMs - before.cpuMs) / seconds) * 60},
		'wake-ups': {unit: '1/s', value: (after.wakeups - before.wakeups) / seconds},
		memory: {unit: 'MiB', value: after.memoryMiB},
	};
	return Object.entries(values).map(([metric, {unit, value}]) => {
		return {subject, metric: `${role}: ${metric}`, unit, values: [value]};
	});
}

async function startWaiters(context: Context, unavailable: Unavailable[]): Promise<Kept[]> {
	const kept: Kept[] = [];
	for (const [index, subject] of waitNames.entries()) {
		const wait: Wait = waits[subject];
		const reason = wait.package === undefined ? wait.runtime?.obstacle : await obstacle(wait.package);
		if (reason !== undefined) {
			unavailable.push({subject, reason});
			continue;
		}
		const address = join(context.places.tmpfs, `wait${index}`);
		await startHolderFor(context, subject, address);
		for (const [role, count] of [
			[roles.one, 1],
			[roles.hundred, 100],
		] as const) {
			const options = {...wait.runtime?.options, env: {...wait.env, BENCH_STALE_MS: '3600000'}};
			const program = context.start('keeper', ['wait', subject, address, String(count)], options);
			await program.expect('ready');
			kept.push({subject, role, program});
		}
	}
	return kept;
}

async function startHolderFor(context: Context, subject: WaitName, address: string): Promise<void> {
	const holder = context.start('successor', [subject, address]);
	await holder.expect('waiting');
	await holder.expect('serving');
}

async function startHolders(context: Context): Promise<Kept[]> {
	const kept: Kept[] = [];
	const names = [
		idle,
		'bare server.listen',
		'bindlock, acquire',
		'bindlock, listen',
		'bindlock, lease',
		'proper-lockfile',
	];
	for (const [index, subject] of names.entries()) {
		const address = join(context.places.tmpfs, `hold${index}`);
		const program = context.start('keeper', [subject === idle ? 'idle' : 'hold', subject, address]);
		await program.expect('ready');
		kept.push({subject, role: roles.holder, program});
	}
	return kept;
}
