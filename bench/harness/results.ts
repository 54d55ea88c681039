/**
 * What is kept of a benchmark: every value with what it is of, and the environment. Plots and the page
 * are made of nothing else.
 */
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {Environment} from './environment.js';
import {rounded} from './statistics.js';

export interface Measurement {
	readonly subject: string;
	/** What is measured, for example `take and give back`. */
	readonly metric: string;
	readonly place?: 'tmpfs' | 'disk';
	/** For a curve: where on it. */
	readonly x?: number;
	readonly unit: string;
	/** One for each round. */
	readonly values: readonly number[];
}

/** In how many rounds something went wrong. */
export interface Count {
	readonly subject: string;
	readonly scenario: string;
	readonly rounds: number;
	/** Two or more live servers bound to the address, by the kernel's table of sockets. */
	readonly double: number;
	/** No server. */
	readonly none: number;
	/** A live server whose socket file was gone. */
	readonly deleted: number;
}

export interface Unavailable {
	readonly subject: string;
	readonly reason: string;
}

/** What a benchmark finds out. */
export interface Outcome {
	readonly measurements?: readonly Measurement[];
	readonly counts?: readonly Count[];
	readonly unavailable?: readonly Unavailable[];
}

export interface Result extends Required<Outcome> {
	readonly benchmark: string;
	/** Few rounds, to see that it works; the figures are rough. */
	readonly quick: boolean;
	readonly environment: Environment;
}

export const benchmarkNames = ['safety', 'take', 'takeover', 'waiting', 'scale', 'startup'] as const;
export type BenchmarkName = (typeof benchmarkNames)[number];
export type Results = Readonly<Record<BenchmarkName, Result>>;

/** Of the checkout, whose `build/bench/harness/` this runs in. */
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

/** One measurement a line, so that a difference can be read. */
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
