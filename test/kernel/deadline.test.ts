/**
 * Tests deadlines, events, aborts and backoff.
 */
import test from 'ava';
import {backoffMs, wakeable} from '../../src/kernel/deadline.js';
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

test('the backoff doubles from failure to failure up to a limit, with 50 % of jitter', t => {
	const nominal = [0, 5, 10, 20, 40, 50, 50];
	for (const [failures, expected] of nominal.entries()) {
		const found = backoffMs(failures, 5, 50);
		t.true(found >= expected * 0.5 && found <= expected * 1.5, `${failures}: ${found}`);
	}
});
