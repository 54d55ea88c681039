/**
 * Reads an address, and resolves a path as the kernel does.
 */
import {resolve} from 'node:path';
import {
	type Address,
	abstractAddress,
	checkName,
	maxNameBytes,
	type PathnameAddress,
	refuseAddress,
	withoutScheme,
} from '../model/address.js';
import {BindLockError} from '../model/errors.js';
import {show} from '../model/text.js';
import {asKernelFinds, isSameDirectory} from './directory.js';

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
	// Half a surrogate pair is given to the kernel as U+FFFD, and shown by it as that.
	const written = withoutScheme(given).toWellFormed();
	return written.startsWith('\0') ? abstractAddress(given, written.slice(1)) : pathnameAddress(given, written);
}

/**
 * What is given to `bind` may be relative, and the working directory may have changed since: where it leads then we
 * have no lock.
 *
 * @throws BindLockError `ERR_ADDRESS_SPELLING`
 */
export function refuseElsewhere(address: Address): void {
	if (address.kind === 'abstract' || leadsToItsPath(address)) return;
	throw refuseAddress(
		address.given,
		'ERR_ADDRESS_SPELLING',
		'it is relative, and the working directory has changed since; give an absolute path',
	);
}

function leadsToItsPath({bindPath, path}: PathnameAddress): boolean {
	try {
		return absolute(bindPath, bindPath) === path;
	} catch {
		return false;
	}
}

function pathnameAddress(given: string, written: string): PathnameAddress {
	checkName(given, written);
	if (/(^|\/)\.{0,2}$/.test(written)) {
		throw refuseAddress(given, 'ERR_ADDRESS_SPELLING', 'it names a directory; give the name of the socket file in it');
	}
	const path = absolute(given, written);
	// What stands for bytes that are not UTF-8; or a name that nobody has to resolve.
	if (path !== written && path.includes('\ufffd') && !isSameDirectory(path, written)) {
		throw refuseAddress(given, 'ERR_ADDRESS_SPELLING', 'it leads through a directory whose name is not UTF-8');
	}
	// What was written has been measured.
	const fits = path === written || Buffer.byteLength(path) <= maxNameBytes;
	return {kind: 'pathname', given, path, bindPath: fits ? path : written, lockPath: `${path}.lock`};
}

/** Throws where a relative path leads nowhere, because the working directory was removed. */
function absolute(given: string, written: string): string {
	// Nothing to resolve, as is usual, which is sooner seen than done. How it ends was checked before.
	if (written.startsWith('/') && !/\/\.{0,2}\//.test(written)) return written;
	const found = isTextual(written) ? undefined : asKernelFinds(written);
	if (found !== undefined) return found;
	try {
		return resolve(written);
	} catch {
		throw refuseAddress(given, 'ENOENT', 'it is relative, and the working directory does not exist any more');
	}
}

/** To the kernel `..` after a symbolic link is the directory above its target. At the beginning there is no link: the working directory has none. */
function isTextual(written: string): boolean {
	return !`/${written.replace(/^\/*(\.{0,2}\/+)*/, '')}`.includes('/../');
}
