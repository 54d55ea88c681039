/**
 * The costs on a crowded machine: thousands of processes, sockets of the same name, and locks. Beside the time of each
 * call, the longest time in which the event loop of its process could do nothing else.
 */
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {compile, noCompiler} from '../harness/compile.js';
import type {Context} from '../harness/context.js';
import type {Measurement, Outcome} from '../harness/results.js';
import {crowdedCalls} from '../programs/crowded-calls.js';

export const size = {processes: 2000, sockets: 20_000, locks: 10_000} as const;
export const metrics = {time: 'time', block: 'longest block of the event loop'} as const;

export async function crowd(context: Context): Promise<Outcome> {
	const program = compile('crowd', context.places.tmpfs);
	if (program === undefined) return {unavailable: [{subject: 'all', reason: noCompiler}]};
	const directory = join(context.places.tmpfs, 'crowded');
	mkdirSync(directory);
	const share = context.quick ? 0.1 : 1;
	const counts = Object.values(size).map(count => String(count * share));
	await context.startCommand(program, [directory, ...counts]).expect('ready');
	const caller = context.start('crowded', [directory]);
	const measurements: Measurement[] = [];
	const rounds = context.quick ? 3 : 15;
	for (const subject of crowdedCalls) {
		const [times, blocks]: [number[], number[]] = [[], []];
		for (let round = 0; round < rounds; round++) {
			context.progress(round, rounds, subject);
			caller.send(subject);
			const {time, block} = await caller.expect('done');
			// The first call loads and compiles code.
			if (round === 0) continue;
			times.push(Number(time));
			blocks.push(Number(block));
		}
		measurements.push({subject, metric: metrics.time, unit: 'ms', values: times});
		measurements.push({subject, metric: metrics.block, unit: 'ms', values: blocks});
	}
	return {measurements};
}
