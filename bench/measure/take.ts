/**
 * The cost of taking and releasing a lock, and of a refusal, beside a C loop of the same system calls: in short batches
 * by turns, so that noise affects all of them.
 */
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Program} from '../../test/helpers/programs.js';
import {compile, noCompiler} from '../harness/compile.js';
import type {Context} from '../harness/context.js';
import {obstacle} from '../harness/load.js';
import type {PlaceName} from '../harness/places.js';
import type {Measurement, Outcome, Unavailable} from '../harness/results.js';
import {median} from '../harness/statistics.js';
import {type Taker, type TakerName, takerNames, takers} from '../harness/takers.js';
import type {Batch} from '../programs/taker.js';

export const metrics = {cycle: 'take and give back', refused: 'be refused'} as const;
export const limit = 'C, the same system calls';
type What = keyof typeof metrics;

/** A subject that is measured repeatedly. */
interface Series {
	readonly subject: string;
	readonly what: What;
	readonly place: PlaceName | undefined;
	/** Microseconds for each call. */
	readonly run: (milliseconds: number) => Promise<number>;
	readonly values: number[];
}

export async function take(context: Context): Promise<Outcome> {
	const unavailable: Unavailable[] = [];
	const series = [...(await takersSeries(context, unavailable)), ...(await limitSeries(context, unavailable))];
	const rounds = context.quick ? 5 : 15;
	// By then V8 has optimised the code.
	for (const [index, one] of series.entries()) {
		context.progress(index, series.length, 'warming up');
		await one.run(context.quick ? 100 : 500);
	}
	for (let round = 0; round < rounds; round++) {
		for (const one of series) {
			context.progress(round, rounds, 'rounds');
			one.values.push(await one.run(context.quick ? 20 : 100));
		}
	}
	const measurements = series.map(({subject, what, place, values}): Measurement => {
		return {subject, metric: metrics[what], ...(place === undefined ? {} : {place}), unit: 'µs', values};
	});
	return {measurements, unavailable};
}

async function takersSeries(context: Context, unavailable: Unavailable[]): Promise<Series[]> {
	const series: Series[] = [];
	for (const subject of takerNames) {
		const taker = takers[subject];
		const reason = taker.package === undefined ? taker.runtime?.obstacle : await obstacle(taker.package);
		if (reason !== undefined) unavailable.push({subject, reason});
		else series.push(...(await seriesOf(context, subject, taker)));
	}
	return series;
}

async function seriesOf(context: Context, subject: TakerName, {env, runtime, abstract}: Taker): Promise<Series[]> {
	const options = {...runtime?.options, ...(env === undefined ? {} : {env})};
	const worker = context.start('taker', [subject], options);
	const holder = context.start('taker', [subject], options);
	const series: Series[] = [];
	for (const place of abstract ? [undefined] : (['tmpfs', 'disk'] as const)) {
		const directory = context.places[place ?? 'tmpfs'];
		const [free, taken] = [join(directory, `${subject} free`), join(directory, `${subject} taken`)];
		await tell(holder, {do: 'hold', address: taken, milliseconds: 0});
		for (const [what, address] of [
			['cycle', free],
			['refused', taken],
		] as const) {
			const run = (milliseconds: number): Promise<number> => tell(worker, {do: what, address, milliseconds});
			series.push({subject, what, place, run, values: []});
		}
	}
	return series;
}

async function tell(program: Program, batch: Batch): Promise<number> {
	program.send(JSON.stringify(batch));
	return Number((await program.expect('done'))['microseconds']);
}

async function limitSeries(context: Context, unavailable: Unavailable[]): Promise<Series[]> {
	const program = compile('take', context.places.tmpfs);
	if (program === undefined) {
		unavailable.push({subject: limit, reason: noCompiler});
		return [];
	}
	const [free, taken] = ['limit free', 'limit taken'];
	const holder = context.start('taker', ['bindlock, addon'], {env: {BINDLOCK_FLOCK: 'addon'}});
	const series: Series[] = [];
	for (const place of ['tmpfs', 'disk'] as const) {
		const directory = context.places[place];
		writeFileSync(join(directory, `${free}.lock`), '', {mode: 0o600});
		await tell(holder, {do: 'hold', address: join(directory, taken), milliseconds: 0});
		for (const [what, name] of [
			['cycle', free],
			['refused', taken],
		] as const) {
			const address = join(directory, name);
			// As many calls as fit into the time, by the cost of the calls so far.
			const seen: number[] = [];
			const run = async (milliseconds: number): Promise<number> => {
				const count = Math.ceil((milliseconds * 1000) / (seen.length > 0 ? median(seen) : 10));
				const printed = execFileSync(program, [`${address}.lock`, address, String(count)], {encoding: 'utf8'});
				seen.push(Number(printed) / 1000);
				return seen.at(-1) as number;
			};
			series.push({subject: limit, what, place, run, values: []});
		}
	}
	return series;
}
