/**
 * The page of the benchmarks says what was measured: it is what its generator makes of the kept results.
 */
import {existsSync, readFileSync} from 'node:fs';
import test from 'ava';
import {readResults, root} from '../../bench/harness/results.js';
import {page} from '../../bench/page/page.js';
import {digest, draw} from '../../bench/page/plots.js';
import {sections} from '../../bench/page/sections.js';
import {testUnless} from '../helpers/abilities.js';

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const plots = sections(readResults()).flatMap(section => section.plots);

test('docs/benchmarks.md is generated from bench/results', t => {
	t.is(read('docs/benchmarks.md'), page(readResults()));
});

test('every plot is of the kept results', t => {
	for (const plot of plots) t.true(read(`docs/benchmarks/${plot.name}.svg`).includes(digest(plot)), plot.name);
	t.true(plots.length > 5);
});

const notInstalled = existsSync(new URL('bench/node_modules', root)) ? undefined : 'needs the packages of bench/';

testUnless(notInstalled)('every plot is what is drawn of them, to the byte', async t => {
	for (const plot of plots) t.is(await draw(plot), read(`docs/benchmarks/${plot.name}.svg`), plot.name);
});

test('the results tell nothing of whose machine it was', t => {
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
