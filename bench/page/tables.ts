/**
 * Medians by name, tables and goals, for the sections of the page.
 */
import type {Measurement, Result} from '../harness/results.js';
import {median, type Summary, summarise} from '../harness/statistics.js';
import {type Point, short} from './plots.js';

export function points(measurements: readonly Measurement[]): Point[] {
	return measurements.map(({subject, x, values}) => {
		const {median, low, high} = summarise(values);
		return {subject, ...(x === undefined ? {} : {x}), median, low, high};
	});
}

export function of(result: Result, metric: string, place?: string): Measurement[] {
	return result.measurements.filter(
		one => one.metric === metric && (place === undefined || one.place === undefined || one.place === place),
	);
}

export function medianOf(measurements: readonly Measurement[], subject: string): number | undefined {
	const found = measurements.find(one => one.subject === subject);
	return found === undefined ? undefined : median(found.values);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
	return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export function spread({least, median, low, high}: Summary): string {
	return low === high ? short(median) : `${short(median)} (${short(low)}–${short(high)}, least ${short(least)})`;
}

/** Returns a table with one row for each subject and one column for each metric. */
export function grid(
	measurements: readonly Measurement[],
	columns: readonly string[],
	column: (one: Measurement) => string,
): string {
	const subjects = [...new Set(measurements.map(one => one.subject))];
	const rows = subjects.map(subject => [
		subject,
		...columns.map(name => {
			const found = measurements.find(one => one.subject === subject && column(one) === name);
			return found === undefined ? '–' : spread(summarise(found.values));
		}),
	]);
	return table(['', ...columns], rows);
}

/** Returns a sentence with a goal, the measured value, and whether the goal is reached. */
export function goal(
	words: string,
	value: number | undefined,
	reached: (value: number) => boolean,
	show: (value: number) => string,
): string {
	if (value === undefined) return `Goal: ${words}. It could not be measured here.`;
	return `Goal: ${words}. Measured: ${show(value)}, ${reached(value) ? 'reached' : '**missed**'}.`;
}

export function ratio(one: number | undefined, other: number | undefined): number | undefined {
	return one === undefined || other === undefined ? undefined : one / other;
}
