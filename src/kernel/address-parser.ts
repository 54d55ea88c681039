/**
 * Reads an address, and resolves its path as the kernel does.
 */
import {realpathSync, statSync} from 'node:fs';
import {basename, dirname, join, resolve} from 'node:path';
import {
	type Address,
	abstractAddress,
	checkName,
	maxNameBytes,
	type PathnameAddress,
	refuseAddress,
	withoutScheme,
} from '../model/address.js';
import {attempt} from '../model/attempt.js';
import {BindLockError} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import {show} from '../model/text.js';

/**
 * Reads an address as Node writes it (`'/p'`, `'p'`, `'\0name'`), or as gRPC, Docker, nginx and
 * curl do (`unix:/p`, `unix:///p`, `unix:@name`, `unix-abstract:name`). `'@name'` alone is a
 * relative path, as it is to Node.
 *
 * @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_ADDRESS_EMPTY`, `ERR_ADDRESS_NUL`,
 * `ERR_ADDRESS_SPELLING`, `ENAMETOOLONG`
 */
export function parseAddress(given: string): Address {
	if (typeof given !== 'string') {
		throw new BindLockError(`The address must be a string, as server.listen() takes it; got ${typeof given}`, {
			code: 'ERR_INVALID_ARG_TYPE',
			address: show(given),
		});
	}
	// Node passes half a surrogate pair to the kernel as U+FFFD.
	const written = withoutScheme(given).toWellFormed();
	return written.startsWith('\0') ? abstractAddress(given, written.slice(1)) : pathnameAddress(given, written);
}

/**
 * Checks that the address still leads to the locked path. bind(2) may get a relative path, and the working directory may
 * have changed since the lock was taken.
 *
 * @throws BindLockError `ERR_ADDRESS_SPELLING`
 */
export function refuseElsewhere(address: Address): void {
	const {kind, bindPath} = address;
	if (kind === 'abstract' || attempt(() => absolute(bindPath, bindPath)) === address.path) return;
	throw refuseAddress(
		address.given,
		'ERR_ADDRESS_SPELLING',
		'it is relative, and the working directory has changed since; give an absolute path',
	);
}

function pathnameAddress(given: string, written: string): PathnameAddress {
	checkName(given, written);
	if (/(^|\/)\.{0,2}$/.test(written)) {
		throw refuseAddress(given, 'ERR_ADDRESS_SPELLING', 'it names a directory; give the name of the socket file in it');
	}
	const path = absolute(given, written);
	// U+FFFD stands for bytes that are not UTF-8, unless the name of the directory contains U+FFFD itself.
	if (path !== written && path.includes('\ufffd') && !isSameDirectory(path, written)) {
		throw refuseAddress(given, 'ERR_ADDRESS_SPELLING', 'it leads through a directory whose name is not UTF-8');
	}
	// checkName has measured `written`.
	const fits = path === written || Buffer.byteLength(path) <= maxNameBytes;
	return {kind: 'pathname', given, path, bindPath: fits ? path : written, lockPath: `${path}.lock`};
}

/** @throws BindLockError `ENOENT` if the path is relative and the working directory was removed */
function absolute(given: string, written: string): string {
	// Fast path: already absolute and normalized. The caller has checked the last component.
	if (written.startsWith('/') && !/\/\.{0,2}\//.test(written)) return written;
	// Else the kernel resolves the directory, if it exists.
	const found = isTextual(written)
		? undefined
		: attempt(() => join(realpathSync.native(dirname(written)), basename(written)));
	if (found !== undefined) return found;
	try {
		return resolve(written);
	} catch {
		throw refuseAddress(given, 'ENOENT', 'it is relative, and the working directory does not exist any more');
	}
}

/**
 * Whether the path can be resolved by its text alone. To the kernel, `..` after a symbolic link is the directory above
 * the target of the link. A `..` at the beginning follows no link: the working directory contains none.
 */
function isTextual(written: string): boolean {
	return !`/${written.replace(/^\/*(\.{0,2}\/+)*/, '')}`.includes('/../');
}

/** Whether both paths lead to a file in the same directory. */
function isSameDirectory(one: string, other: string): boolean {
	const [first, second] = [one, other].map(path => attempt(() => statSync(dirname(path), {bigint: true})));
	return second !== undefined && isSameFile(first, second);
}
