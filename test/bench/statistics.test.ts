/**
 * Tests the statistics of the benchmarks, and their observation of an address.
 */
import {renameSync, unlinkSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {rounded, summarise} from '../../bench/harness/statistics.js';
import {look} from '../../bench/measure/sighting.js';
import {makeStale} from '../helpers/detectors.js';
import {start, temporaryDirectory} from '../helpers/programs.js';

test('the median and the quartiles, for any order and number of values', t => {
	t.deepEqual(summarise([5, 1, 3]), {least: 1, median: 3, low: 2, high: 4, count: 3});
	t.deepEqual(summarise([4, 1, 3, 2]), {least: 1, median: 2.5, low: 1.75, high: 3.25, count: 4});
	t.deepEqual(summarise([7]), {least: 7, median: 7, low: 7, high: 7, count: 1});
	t.is(summarise([1, 2, 3, 1e9, 2]).median, 2);
	t.throws(() => summarise([]), {instanceOf: RangeError});
});

test('four significant digits', t => {
	t.deepEqual([12_345.6, 0.012_345_6, 0].map(rounded), [12_350, 0.012_35, 0]);
});

test('no server, one server, two of which one is masked, and one without a socket file', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	t.deepEqual(look(address), {servers: 0, socketThere: true});
	unlinkSync(address);
	const first = start(t, 'naive', [address]);
	await first.expect('listening');
	t.deepEqual(look(address), {servers: 1, socketThere: true});
	renameSync(address, `${address}.aside`);
	await start(t, 'naive', [address]).expect('listening');
	t.deepEqual(look(address), {servers: 2, socketThere: true});
	await first.kill();
	unlinkSync(address);
	t.deepEqual(look(address), {servers: 1, socketThere: false});
});
