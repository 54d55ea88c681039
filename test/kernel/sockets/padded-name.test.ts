/**
 * Tests the padded spelling of abstract names.
 */
import test from 'ava';
import {nameInTable, paddedName} from '../../../src/kernel/sockets/padded-name.js';

test('a name is padded to 108 bytes of UTF-8', t => {
	for (const name of ['app', 'Zürich🔒', 'x'.repeat(107)]) {
		const padded = paddedName(name);
		t.is(Buffer.byteLength(padded), 108);
		t.is(padded.replace(/\0+$/, ''), `\0${name}`);
	}
});

test('the table shows each NUL as @', t => {
	t.is(nameInTable('\0app'), '@app');
	t.is(nameInTable(paddedName('app')), `@app${'@'.repeat(104)}`);
});
