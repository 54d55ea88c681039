/**
 * Compares two stored results of a benchmark.
 */
import type {Result} from '../harness/results.js';
import {median} from '../harness/statistics.js';
import {short} from './plots.js';
import {table} from './tables.js';

/** Returns a table of the medians of both, and their ratios; a figure that one of them lacks is left out. */
export function compare(before: Result, after: Result): string {
	if (before.benchmark !== after.benchmark) {
		throw new Error(`these are results of ${before.benchmark} and of ${after.benchmark}`);
	}
	const rows = after.measurements.flatMap(({subject, metric, place, x, unit, values}) => {
		const other = before.measurements.find(
			one => one.subject === subject && one.metric === metric && one.place === place && one.x === x,
		);
		if (other === undefined) return [];
		const [old, now] = [median(other.values), median(values)];
		const what = [subject, metric, place, x].filter(part => part !== undefined).join(', ');
		return [[what, `${short(old)} ${unit}`, `${short(now)} ${unit}`, old === 0 ? '–' : short(now / old)]];
	});
	const name = ({environment: {date, cpu, node}}: Result): string => `${date}, ${cpu}, Node ${node.slice(1)}`;
	return table([before.benchmark, name(before), name(after), 'ratio'], rows);
}
