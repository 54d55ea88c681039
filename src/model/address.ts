/**
 * What an address is: how it may be written, what it means, how long it may be.
 */
import {BindLockError, type BindLockErrorCode} from './errors.js';
import {printable} from './text.js';

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
		'after "unix://" comes an absolute path, as in unix:///run/app.sock; a relative one is written unix:app.sock',
	);
}

export function abstractAddress(given: string, name: string): AbstractAddress {
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

export function checkName(given: string, name: string): void {
	if (name === '') {
		throw refuseAddress(given, 'ERR_ADDRESS_EMPTY', 'it is empty; an empty name would be bound to a random one');
	}
	if (name.includes('\0')) {
		throw refuseAddress(given, 'ERR_ADDRESS_NUL', 'it has a NUL inside, where the kernel would end the name');
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

export function refuseAddress(given: string, code: BindLockErrorCode, why: string): BindLockError {
	return new BindLockError(`Cannot use the address ${given === '' ? '""' : printable(given)}: ${why}`, {
		code,
		address: given,
		...(code === 'ENAMETOOLONG' ? {syscall: 'bind'} : {}),
	});
}
