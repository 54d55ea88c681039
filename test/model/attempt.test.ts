/**
 * Actions whose failure is expected.
 */
import test from 'ava';
import {attempt} from '../../src/model/attempt.js';

test('the result of an action, or undefined instead of its error', t => {
	t.is(
		attempt(() => 1),
		1,
	);
	t.is(
		attempt(() => {
			throw new Error('expected');
		}),
		undefined,
	);
});
