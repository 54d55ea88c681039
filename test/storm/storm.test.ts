/**
 * Runs a short storm and tests its detectors. `npm run storm` runs long storms.
 */
import test from 'ava';
import {atLoad} from '../helpers/deadlines.js';
import {Persistent, Tenures} from './evidence.js';
import {Random} from './random.js';
import {storm} from './run.js';

test('a storm of eight processes for twelve seconds has no violation', async t => {
	t.timeout(atLoad(60_000));
	const {tally, violations} = await storm({milliseconds: 12_000, processes: 8, seed: 1});
	t.log(JSON.stringify(tally));
	t.deepEqual(violations, []);
	for (const what of [
		'held',
		'refused',
		'killed',
		'stopped',
		'aborted',
		'clients',
		'looks',
		'naive',
		'cleaned',
	] as const) {
		t.true(tally[what] > 0, what);
	}
});

test('the detectors report overlapping tenures, and an answer from a process without a tenure', t => {
	const reports: string[] = [];
	const tenures = new Tenures(what => reports.push(what));
	const [first, second] = [tenures.start(1, 0, 10), tenures.start(2, 0, 19)];
	tenures.end(first, 20, 21);
	t.is(reports.length, 0);
	tenures.end(second, 30, 31);
	t.is(reports.length, 1);
	tenures.check(1, 5, 6);
	tenures.check(3, 5, 6);
	t.regex(reports[1] ?? '', /answered by 3/);
	tenures.checkLocked([1], 12, 18);
	t.is(reports.length, 2);
	tenures.checkLocked([2], 12, 18);
	t.regex(reports[2] ?? '', /1 had the address and not the lock/);
	// Killed when it reported the address. It may have served until its death.
	tenures.end(tenures.start(4, 0, 25), 25, 28);
	t.regex(reports[3] ?? '', /two had the address at once/);
	tenures.check(4, 27, 29);
	t.is(reports.length, 4);
});

test('transient contradictions are ignored, persistent ones reported', t => {
	const persistent = new Persistent(2);
	t.deepEqual(
		['a', 'a', 'b', undefined, 'b', 'b', 'b', 'b'].map(what => persistent.seen(what)),
		[false, false, false, false, false, false, true, false],
	);
});

test('equal seeds make equal choices', t => {
	const choices = (): number[] => {
		const random = new Random(7);
		return Array.from({length: 20}, () => random.upTo(1000));
	};
	t.deepEqual(choices(), choices());
});
