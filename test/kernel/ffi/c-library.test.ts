/**
 * Tests the conversion of the results of C functions, whatever the FFI.
 */
import {constants} from 'node:os';
import test from 'ava';
import {openByName, withErrno} from '../../../src/kernel/ffi/c-library.js';

const signatures = {call: ['int']} as const;
const returning = (result: number, errno: number): number =>
	withErrno(signatures, {call: () => result}, () => errno).call(1);

test('a result is returned, and an error is the negative errno', t => {
	t.is(returning(0, 0), 0);
	t.is(returning(7, constants.errno.EAGAIN), 7);
	t.is(returning(-1, constants.errno.EAGAIN), -constants.errno.EAGAIN);
});

test('a failure is no success, even if errno was cleared', t => {
	t.true(returning(-1, 0) < 0);
});

test('the C library is opened by the first name that exists; otherwise the error has each reason', t => {
	t.is(
		openByName(name => {
			if (name === 'libc.so.6') throw new Error('not glibc');
			return name.replace(/x86_64|aarch64/, 'ARCH');
		}),
		'libc.musl-ARCH.so.1',
	);
	t.throws(
		() =>
			openByName(name => {
				throw new Error(`no ${name}`);
			}),
		{message: /^no libc\.so\.6; no libc\.musl-/},
	);
});
