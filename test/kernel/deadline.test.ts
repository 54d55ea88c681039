/**
 * Tests deadlines, events and aborts.
 */
import test from 'ava';
import {wakeable} from '../../src/kernel/deadline.js';
import {withDeadline} from '../helpers/deadlines.js';

const nothing = (): void => {};

test('no wait ends before its deadline', async t => {
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

test('an event gives true, a past deadline gives false, an abort rejects with its reason', async t => {
	t.true(await wakeable(Number.POSITIVE_INFINITY, undefined, wake => setImmediate(wake)));
	t.false(await wakeable(performance.now() - 1, undefined, nothing));
	const abort = new AbortController();
	const waiting = wakeable(Number.POSITIVE_INFINITY, abort.signal, nothing);
	abort.abort(new Error('enough'));
	await t.throwsAsync(withDeadline(waiting), {message: 'enough'});
	await t.throwsAsync(wakeable(Number.POSITIVE_INFINITY, abort.signal, nothing), {message: 'enough'});
});
