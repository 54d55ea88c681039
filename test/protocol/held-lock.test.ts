/**
 * The release of a lock.
 */
import {readFileSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {acquire} from '../../src/index.js';
import {checkLeaks} from '../helpers/leaks.js';
import {temporaryDirectory} from '../helpers/programs.js';
import {contentOf, namesIn} from '../helpers/tree.js';

checkLeaks();

test('after an orderly release the lock file is there, and empty', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const lock = await acquire(address);
	t.true(readFileSync(`${address}.lock`, 'utf8').length > 0);
	await lock.release();
	t.deepEqual(namesIn(directory), ['s.lock']);
	t.is(readFileSync(`${address}.lock`, 'utf8'), '');
});

test('removeLockFile removes it, but not a file that is there by now instead', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await (await acquire(address, {removeLockFile: true})).release();
	t.deepEqual(namesIn(directory), []);

	const lock = await acquire(address, {removeLockFile: true});
	renameSync(`${address}.lock`, join(directory, 'moved'));
	writeFileSync(`${address}.lock`, 'of somebody');
	const before = contentOf(directory).filter(({name}) => name === 's.lock');
	await lock.release();
	t.deepEqual(
		contentOf(directory).filter(({name}) => name === 's.lock'),
		before,
	);
});
