/**
 * Exponential backoff.
 */
import test from 'ava';
import {backoffMs} from '../../src/model/backoff.js';

test('the pause doubles from failure to failure up to a limit', t => {
	const found = [0, 1, 2, 3, 4, 5, 6].map(failures => backoffMs(failures, 5, 50));
	t.deepEqual(found, [0, 5, 10, 20, 40, 50, 50]);
	t.is(backoffMs(11, 1), 1024);
});
