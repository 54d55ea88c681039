/**
 * The stored results of a benchmark: each value with its subject, and the environment. The page and its plots are made
 * from them only.
 */
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {Environment} from './environment.js';
import {rounded} from './statistics.js';

export interface Measurement {
	readonly subject: string;
	/** The metric, for example `take and give back`. */
	readonly metric: string;
	readonly place?: 'tmpfs' | 'disk';
	/** For a curve: the position on the horizontal axis. */
	readonly x?: number;
	readonly unit: string;
	/** One value for each round. */
	readonly values: readonly number[];
}

/** The number of rounds with a failure. */
export interface Count {
	readonly subject: string;
	readonly scenario: string;
	readonly rounds: number;
	/** Two or more live servers were bound to the address, by the kernel's table of sockets. */
	readonly double: number;
	/** No server was bound. */
	readonly none: number;
	/** A live server had lost its socket file. */
	readonly deleted: number;
}

export interface Unavailable {
	readonly subject: string;
	readonly reason: string;
}

/** The results of one benchmark. */
export interface Outcome {
	readonly measurements?: readonly Measurement[];
	readonly counts?: readonly Count[];
	readonly unavailable?: readonly Unavailable[];
}

export interface Result extends Required<Outcome> {
	readonly benchmark: string;
	/** Few rounds, to check that the benchmark works; the figures are rough. */
	readonly quick: boolean;
	readonly environment: Environment;
}

export const benchmarkNames = ['safety', 'take', 'takeover', 'waiting', 'scale', 'crowd', 'startup'] as const;
export type BenchmarkName = (typeof benchmarkNames)[number];
export type Results = Readonly<Record<BenchmarkName, Result>>;

/** The root of the checkout, which contains `build/bench/harness/`. */
export const root: URL = new URL('../../../', import.meta.url);

function fileOf(name: string): string {
	return fileURLToPath(new URL(`bench/results/${name}.json`, root));
}

export function resultText(name: BenchmarkName): string {
	return readFileSync(fileOf(name), 'utf8');
}

export function readResults(): Results {
	const entries = benchmarkNames.map(name => [name, JSON.parse(resultText(name)) as Result]);
	return Object.fromEntries(entries) as Results;
}

/** Writes one measurement on each line, so that a diff is readable. */
export function writeResult({measurements, counts, unavailable, ...about}: Result): void {
	const short = measurements.map(one => ({...one, values: one.values.map(rounded)}));
	const lines = (list: readonly object[]): string => list.map(one => `\n\t\t${JSON.stringify(one)}`).join(',');
	const head = Object.entries(about).map(([key, value]) => `\t${JSON.stringify(key)}: ${JSON.stringify(value)},\n`);
	const lists = Object.entries({unavailable, counts, measurements: short}).map(
		([key, list]) => `\t${JSON.stringify(key)}: [${list.length > 0 ? `${lines(list)}\n\t` : ''}]`,
	);
	mkdirSync(new URL('bench/results/', root), {recursive: true});
	writeFileSync(fileOf(about.benchmark), `{\n${head.join('')}${lists.join(',\n')}\n}\n`);
}
