/**
 * What an address is: how it may be written, what it means, how long it may be.
 */
import {resolve} from 'node:path';
import {BindLockError, printable, show} from './errors.js';
import {asKernelFinds, isSameDirectory} from './system/directory.js';

/** A socket with a file. */
export interface PathnameAddress {
	readonly kind: 'pathname';
	/** As the caller wrote it. */
	readonly given: string;
	/** Absolute, so that a later `chdir` changes nothing. */
	readonly path: string;
	/** What to give to `bind`: the absolute path where it fits, else the path as it was given. */
	readonly bindPath: string;
	/** `<path>.lock` */
	readonly lockPath: string;
}

/** A name in the abstract namespace, which Linux keeps per network namespace and without a file. */
export interface AbstractAddress {
	readonly kind: 'abstract';
	/** As the caller wrote it. */
	readonly given: string;
	/** The name without its leading NUL. */
	readonly name: string;
	/** What to give to `bind`. */
	readonly bindPath: string;
	/** The name that is bound as the lock, without its leading NUL. */
	readonly lockName: string;
}

export type Address = PathnameAddress | AbstractAddress;

/**
 * What is given to `bind` may be relative, and the working directory may have changed since: where it leads then we
 * have no lock.
 *
 * @throws BindLockError `ERR_ADDRESS_SPELLING`
 */
export function refuseElsewhere(address: Address): void {
	if (address.kind === 'abstract' || leadsToItsPath(address)) return;
	throw refuse(
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

/** The same for every way to write an address. */
export function keyOf(address: Address): string {
	return address.kind === 'pathname' ? address.path : `\0${address.name}`;
}

/**
 * Bytes that `sun_path` has for a name: 108 on Linux and 104 on macOS, less the NUL that ends a
 * path or begins an abstract name (`unix(7)`). Node 20 and 22 cut longer names in silence, so that
 * two different paths meet on one socket file; Node 24 and later answer EINVAL.
 */
export const maxNameBytes: number = process.platform === 'darwin' ? 103 : 107;

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

function withoutScheme(given: string): string {
	if (given.startsWith('unix-abstract:')) return `\0${given.slice('unix-abstract:'.length)}`;
	if (!given.startsWith('unix:')) return given;
	const rest = given.slice('unix:'.length);
	if (rest.startsWith('@')) return `\0${rest.slice(1)}`;
	if (!rest.startsWith('//')) return rest;
	if (rest.startsWith('///')) return rest.slice(2);
	throw refuse(
		given,
		'ERR_ADDRESS_SPELLING',
		'after "unix://" comes an absolute path, as in unix:///run/app.sock; a relative one is written unix:app.sock',
	);
}

function pathnameAddress(given: string, written: string): PathnameAddress {
	checkName(given, written);
	if (/(^|\/)\.{0,2}$/.test(written)) {
		throw refuse(given, 'ERR_ADDRESS_SPELLING', 'it names a directory; give the name of the socket file in it');
	}
	const path = absolute(given, written);
	// What stands for bytes that are not UTF-8; or a name that nobody has to resolve.
	if (path !== written && path.includes('\ufffd') && !isSameDirectory(path, written)) {
		throw refuse(given, 'ERR_ADDRESS_SPELLING', 'it leads through a directory whose name is not UTF-8');
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
		throw refuse(given, 'ENOENT', 'it is relative, and the working directory does not exist any more');
	}
}

/** To the kernel `..` after a symbolic link is the directory above its target. At the beginning there is no link: the working directory has none. */
function isTextual(written: string): boolean {
	return !`/${written.replace(/^\/*(\.{0,2}\/+)*/, '')}`.includes('/../');
}

function abstractAddress(given: string, name: string): AbstractAddress {
	checkName(given, name);
	return {kind: 'abstract', given, name, bindPath: `\0${name}`, lockName: lockNameOf(name)};
}

/**
 * `<name>.lock`; where that would be too long, as much of the name as fits with a hash of all of it,
 * so that different names have different locks.
 */
function lockNameOf(name: string): string {
	const suffix = '.lock';
	if (Buffer.byteLength(name) + suffix.length <= maxNameBytes) return name + suffix;
	const {createHash} = process.getBuiltinModule('node:crypto');
	const hash = `~${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
	let kept = '';
	for (const character of name) {
		if (Buffer.byteLength(kept + character) + hash.length + suffix.length > maxNameBytes) break;
		kept += character;
	}
	return kept + hash + suffix;
}

function checkName(given: string, name: string): void {
	if (name === '') {
		throw refuse(given, 'ERR_ADDRESS_EMPTY', 'it is empty; an empty name would be bound to a random one');
	}
	if (name.includes('\0')) {
		throw refuse(given, 'ERR_ADDRESS_NUL', 'it has a NUL inside, where the kernel would end the name');
	}
	const bytes = Buffer.byteLength(name);
	if (bytes > maxNameBytes) {
		throw refuse(
			given,
			'ENAMETOOLONG',
			`it has ${bytes} bytes and sun_path holds ${maxNameBytes}; use a shorter name, or a relative path from a directory near it`,
		);
	}
}

function refuse(given: string, code: string, why: string): BindLockError {
	return new BindLockError(`Cannot use the address ${given === '' ? '""' : printable(given)}: ${why}`, {
		code,
		address: given,
		...(code === 'ENAMETOOLONG' ? {syscall: 'bind'} : {}),
	});
}
