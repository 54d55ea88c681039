/**
 * Tests whether two files are the same.
 */
import test from 'ava';
import {isSameFile} from '../../src/model/file-identity.js';

test('numbers and bigints are compared exactly, by value', t => {
	const large = 2n ** 53n + 1n;
	t.true(isSameFile({dev: 1, ino: 2}, {dev: 1n, ino: 2n}));
	t.false(isSameFile({dev: 1, ino: 2}, {dev: 1, ino: 3}));
	t.false(isSameFile({dev: 1, ino: 2}, {dev: 2, ino: 2}));
	t.false(isSameFile({dev: 1, ino: large}, {dev: 1, ino: Number(large)}));
});
