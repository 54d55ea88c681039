/**
 * Deadlines: not before they are past.
 */
import test from 'ava';
import {wakeable} from '../../src/kernel/deadline.js';
import {withDeadline} from '../helpers/programs.js';

const nothing = (): void => {};

test('none of many deadlines is over before it is past', async t => {
	const early: number[] = [];
	const waits = Array.from({length: 2000}, async (_, index) => {
		const deadline = performance.now() + 1 + index / 30;
		t.false(await wakeable(deadline, undefined, nothing));
		const left = deadline - performance.now();
		if (left > 0) early.push(left);
	});
	await Promise.all(waits);
	t.deepEqual(early, []);
});

test('an event is true, a past deadline false, an abort rejects with its reason', async t => {
	t.true(await wakeable(Number.POSITIVE_INFINITY, undefined, wake => setImmediate(wake)));
	t.false(await wakeable(performance.now() - 1, undefined, nothing));
	const abort = new AbortController();
	const waiting = wakeable(Number.POSITIVE_INFINITY, abort.signal, nothing);
	abort.abort(new Error('enough'));
	await t.throwsAsync(withDeadline(waiting), {message: 'enough'});
	await t.throwsAsync(wakeable(Number.POSITIVE_INFINITY, abort.signal, nothing), {message: 'enough'});
});
