/**
 * Tests reading files of /proc.
 */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {linkOrUndefined, namesIn, readProc, readProcTable} from '../../../src/kernel/proc/procfs.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {temporaryDirectory} from '../../helpers/programs.js';

checkLeaks();

test.serial('a table larger than the buffer is read to its end, byte for byte', t => {
	const path = join(temporaryDirectory(t), 'file');
	const bytes = Buffer.alloc(200_000, 'Zürich ');
	writeFileSync(path, bytes);
	t.is(readProcTable(path), bytes.toString('latin1'));
	t.true(bytes.toString('latin1').startsWith(readProc(path) ?? 'x'));
	writeFileSync(path, '');
	t.is(readProcTable(path), '');
	t.is(readProc(path), '');
});

test.serial('a path that does not exist: undefined or empty, and no error', t => {
	const path = join(temporaryDirectory(t), 'missing');
	t.is(readProc(path), undefined);
	t.is(readProcTable(path), undefined);
	t.is(linkOrUndefined(path), undefined);
	t.deepEqual(namesIn(path), []);
});
