/**
 * Tests that the page of the benchmarks is generated from the stored results.
 */
import {existsSync, readFileSync} from 'node:fs';
import test from 'ava';
import {readResults, root} from '../../bench/harness/results.js';
import {compare} from '../../bench/page/compare.js';
import {page} from '../../bench/page/page.js';
import {digest, draw} from '../../bench/page/plots.js';
import {sections} from '../../bench/page/sections.js';
import {testUnless} from '../helpers/abilities.js';

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const plots = sections(readResults()).flatMap(section => section.plots);

test('docs/benchmarks.md is generated from bench/results', t => {
	t.is(read('docs/benchmarks.md'), page(readResults()));
});

test('every plot has the digest of the stored results', t => {
	for (const plot of plots) t.true(read(`docs/benchmarks/${plot.name}.svg`).includes(digest(plot)), plot.name);
	t.true(plots.length > 5);
});

const notInstalled = existsSync(new URL('bench/node_modules', root)) ? undefined : 'needs the packages of bench/';

testUnless(notInstalled)('every plot equals a new drawing, byte by byte', async t => {
	for (const plot of plots) t.is(await draw(plot), read(`docs/benchmarks/${plot.name}.svg`), plot.name);
});

test('the results do not identify the machine', t => {
	for (const result of Object.values(readResults())) {
		t.notRegex(JSON.stringify(result), /\/(home|root|tmp|work|dev)\//);
		t.deepEqual(Object.keys(result.environment).sort(), [
			'cores',
			'cpu',
			'date',
			'filesystems',
			'kernel',
			'memoryGiB',
			'node',
		]);
	}
});

test('two results of a benchmark are compared by the ratio of their medians; others are refused', t => {
	const {take, scale} = readResults();
	const slower = {
		...take,
		measurements: take.measurements.map(one => ({...one, values: one.values.map(value => value * 2)})),
	};
	const [, , ...rows] = compare(take, slower).split('\n');
	t.is(rows.length, take.measurements.length);
	for (const row of rows) t.regex(row, / \| 2 \|$/);
	t.throws(() => compare(take, scale), {message: /of take and of scale/});
});
