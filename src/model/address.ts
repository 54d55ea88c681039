/**
 * An address: its two kinds, its spellings, and its maximal length. The resolution of paths is in kernel/.
 */
import {BindLockError, type BindLockErrorCode} from './errors.js';
import {printable} from './text.js';

/** The address of a socket with a file. */
export interface PathnameAddress {
	readonly kind: 'pathname';
	/** The address as it was given. */
	readonly given: string;
	/** The absolute path. A later `chdir` does not change it. */
	readonly path: string;
	/** The path to bind: the absolute one if it fits into `sun_path`, else the one that was given. */
	readonly bindPath: string;
	/** `<path>.lock` */
	readonly lockPath: string;
}

/** A name in the abstract namespace: without a file, and unique per network namespace (`unix(7)`). */
export interface AbstractAddress {
	readonly kind: 'abstract';
	/** The address as it was given. */
	readonly given: string;
	/** The name without its leading NUL. */
	readonly name: string;
	/** The name to bind, with its leading NUL. */
	readonly bindPath: string;
	/** The name of the lock socket, without its leading NUL. */
	readonly lockName: string;
}

export type Address = PathnameAddress | AbstractAddress;

/** Returns a key that is equal for all spellings of one address. */
export function keyOf(address: Address): string {
	return address.kind === 'pathname' ? address.path : `\0${address.name}`;
}

/**
 * The maximal length of a name in bytes: `sun_path` has 108 on Linux and 104 on macOS, less the NUL that ends a path or
 * begins an abstract name (`unix(7)`). Node 20 and 22 truncate longer names silently, so that two different paths lead to
 * one socket file. Node 24 and later report EINVAL.
 */
export const maxNameBytes: number = process.platform === 'darwin' ? 103 : 107;

/** Translates the spellings `unix:…` and `unix-abstract:…` to that of Node. */
export function withoutScheme(given: string): string {
	if (given.startsWith('unix-abstract:')) return `\0${given.slice('unix-abstract:'.length)}`;
	if (!given.startsWith('unix:')) return given;
	const rest = given.slice('unix:'.length);
	if (rest.startsWith('@')) return `\0${rest.slice(1)}`;
	if (!rest.startsWith('//')) return rest;
	if (rest.startsWith('///')) return rest.slice(2);
	throw refuseAddress(
		given,
		'ERR_ADDRESS_SPELLING',
		'"unix://" is followed by an absolute path, as in unix:///run/app.sock; write a relative one as unix:app.sock',
	);
}

/** @throws BindLockError as {@link checkName} */
export function abstractAddress(given: string, name: string): AbstractAddress {
	checkName(given, name);
	return {kind: 'abstract', given, name, bindPath: `\0${name}`, lockName: lockNameOf(name)};
}

/**
 * Returns `<name>.lock`. If that is too long, the name is cut and a hash of the whole name is added, so that different
 * names have different locks.
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

/** @throws BindLockError `ERR_ADDRESS_EMPTY`, `ERR_ADDRESS_NUL`, `ENAMETOOLONG` */
export function checkName(given: string, name: string): void {
	if (name === '') {
		throw refuseAddress(given, 'ERR_ADDRESS_EMPTY', 'it is empty, and bind() would choose a random name');
	}
	if (name.includes('\0')) {
		throw refuseAddress(given, 'ERR_ADDRESS_NUL', 'it contains a NUL, at which the kernel would end the name');
	}
	const bytes = Buffer.byteLength(name);
	if (bytes > maxNameBytes) {
		throw refuseAddress(
			given,
			'ENAMETOOLONG',
			`it has ${bytes} bytes and sun_path holds ${maxNameBytes}; use a shorter name, or a relative path from a directory near it`,
		);
	}
}

/** Returns the error of an invalid address. */
export function refuseAddress(given: string, code: BindLockErrorCode, why: string): BindLockError {
	return new BindLockError(`Cannot use the address ${given === '' ? '""' : printable(given)}: ${why}`, {
		code,
		address: given,
		...(code === 'ENAMETOOLONG' ? {syscall: 'bind'} : {}),
	});
}
