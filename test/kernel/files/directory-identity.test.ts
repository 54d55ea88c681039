/**
 * Tests whether a directory is recognised as the same one.
 */
import {mkdirSync, renameSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {DirectoryIdentity} from '../../../src/kernel/files/directory-identity.js';
import {temporaryDirectory} from '../../helpers/programs.js';

test('a directory that is moved, replaced, and moved back', t => {
	const path = join(temporaryDirectory(t), 'd');
	mkdirSync(path);
	const directory = new DirectoryIdentity(join(path, 's'));
	t.is(directory.path, path);
	t.is(directory.state, 'same');
	renameSync(path, `${path}.moved`);
	t.is(directory.state, 'absent');
	mkdirSync(path);
	t.is(directory.state, 'another');
	renameSync(path, `${path}.other`);
	renameSync(`${path}.moved`, path);
	t.is(directory.state, 'same');
});

test('a directory that was missing at first is another one; a link loop counts as missing', t => {
	const path = join(temporaryDirectory(t), 'd');
	const directory = new DirectoryIdentity(join(path, 's'));
	mkdirSync(path);
	t.is(directory.state, 'another');
	renameSync(path, `${path}.moved`);
	symlinkSync('d', path);
	t.is(directory.state, 'absent');
});
