/**
 * The error class. A message tells an operator what failed, on which address, because of which process, and what to do.
 */
import {constants} from 'node:os';
import {describeHolder, type Holder} from './holder.js';
import {escaped, printable, show} from './text.js';

/**
 * The error codes: bindlock's own, and those of failed system calls (`errno(3)`). `'UNKNOWN'` is for errors without one
 * of these. docs/errors.md explains each.
 */
export type BindLockErrorCode =
	| 'ERR_ACCESS_DENIED'
	| 'ERR_ADDRESS_EMPTY'
	| 'ERR_ADDRESS_LOST'
	| 'ERR_ADDRESS_NUL'
	| 'ERR_ADDRESS_SPELLING'
	| 'ERR_ADDRESS_UNSTABLE'
	| 'ERR_CLUSTER_WORKER'
	| 'ERR_FLOCK_COMMAND'
	| 'ERR_FLOCK_UNAVAILABLE'
	| 'ERR_HAND_OVER_FAILED'
	| 'ERR_HOLDER_SELF'
	| 'ERR_HOLDER_UNVERIFIED'
	| 'ERR_INVALID_ARG_TYPE'
	| 'ERR_INVALID_ARG_VALUE'
	| 'ERR_LEASE_COMPROMISED'
	| 'ERR_LISTEN_FDS'
	| 'ERR_LIVENESS_UNKNOWN'
	| 'ERR_LOCK_BACKEND'
	| 'ERR_LOCK_FILE_FOREIGN'
	| 'ERR_LOCK_FILE_TYPE'
	| 'ERR_LOCK_LOST'
	| 'ERR_LOCK_NOT_HELD'
	| 'ERR_LOCK_UNSTABLE'
	| 'ERR_OUT_OF_RANGE'
	| 'ERR_SERVER_ALREADY_LISTEN'
	| 'ERR_SERVER_NOT_RUNNING'
	| 'ERR_UNSUPPORTED_PLATFORM'
	| 'ERR_WORKER_UNSUPPORTED_OPERATION'
	| 'UNKNOWN'
	| keyof typeof constants.errno;

/** The fields of a {@link BindLockError}. */
export interface BindLockErrorFields {
	/** As {@link BindLockError.code}. */
	readonly code: BindLockErrorCode;
	/** As {@link BindLockError.address}. */
	readonly address?: string | undefined;
	/** As {@link BindLockError.syscall}. */
	readonly syscall?: string | undefined;
	/** As {@link BindLockError.path}. */
	readonly path?: string | undefined;
	/** As {@link BindLockError.holder}. */
	readonly holder?: Holder | undefined;
	/** As {@link BindLockError.waitedMs}. */
	readonly waitedMs?: number | undefined;
	/** The error that caused this one. */
	readonly cause?: unknown;
}

/**
 * The class of all errors of bindlock. An abort is the exception: it rejects with the reason of its signal.
 *
 * An address in use has `code: 'EADDRINUSE'` and the `errno` and `syscall` of Node's own error, so code written for TCP
 * works unchanged. The message is one line and safe for a terminal. The fields hold texts unchanged.
 */
export class BindLockError extends Error {
	/** For code that cannot use `instanceof`, as after a message to another thread. */
	override readonly name = 'BindLockError' as const;
	/** The name of an errno (`'EADDRINUSE'`, `'EACCES'`, …), or `'ERR_…'`. */
	readonly code: BindLockErrorCode;
	/** The negative errno, as in Node's errors; absent for `'ERR_…'` codes. */
	declare readonly errno?: number;
	/** The system call that failed or would have failed. */
	declare readonly syscall?: string;
	/** The address as it was given; absent if the error concerns only options. */
	declare readonly address?: string;
	/** The file that the error concerns, if it is not the address itself. */
	declare readonly path?: string;
	/** The process that has the address, if known. */
	declare readonly holder?: Holder;
	/** The time that was spent waiting for the holder, in milliseconds, if `waitMs` was given. */
	declare readonly waitedMs?: number;

	constructor(message: string, fields: BindLockErrorFields) {
		super(escaped(message), fields.cause === undefined ? undefined : {cause: fields.cause});
		this.code = fields.code;
		if (fields.address !== undefined) this.address = fields.address;
		const errno = (constants.errno as Readonly<Record<string, number>>)[fields.code];
		if (errno !== undefined) this.errno = -errno;
		if (fields.syscall !== undefined) this.syscall = fields.syscall;
		if (fields.path !== undefined) this.path = fields.path;
		if (fields.holder !== undefined) this.holder = fields.holder;
		if (fields.waitedMs !== undefined) this.waitedMs = fields.waitedMs;
	}
}

/** Returns the error of an address in use. */
export function addressInUse(
	address: string,
	{why, ...by}: {readonly why: string} & Pick<BindLockErrorFields, 'holder' | 'waitedMs' | 'cause'>,
): BindLockError {
	const waited = by.waitedMs === undefined ? '' : `; waited ${by.waitedMs} ms`;
	const who = by.holder === undefined ? '' : ` ${describeHolder(by.holder)}`;
	return new BindLockError(`listen EADDRINUSE: address already in use ${printable(address)}: ${why}${who}${waited}`, {
		code: 'EADDRINUSE',
		syscall: 'listen',
		address,
		...by,
	});
}

/** Returns the code of a thrown value, `'UNKNOWN'` if it has none. */
export function codeOf(thrown: unknown): string {
	const {code, name} = Object(thrown) as {readonly code?: unknown; readonly name?: unknown};
	if (typeof code === 'string') return code;
	// Deno's error has no code. Node's has this one, for the same reason.
	return name === 'NotCapable' ? 'ERR_ACCESS_DENIED' : 'UNKNOWN';
}

/** Returns the code of an error that is wrapped. */
export function systemCodeOf(thrown: unknown): BindLockErrorCode {
	const code = codeOf(thrown);
	const isKnown = Object.hasOwn(constants.errno, code) || Object.hasOwn(ownCodes, code);
	return isKnown ? (code as BindLockErrorCode) : 'UNKNOWN';
}

/** The codes that are not those of system calls. The type requires each of them. */
const ownCodes: Readonly<Record<Exclude<BindLockErrorCode, keyof typeof constants.errno>, true>> = {
	ERR_ACCESS_DENIED: true,
	ERR_ADDRESS_EMPTY: true,
	ERR_ADDRESS_LOST: true,
	ERR_ADDRESS_NUL: true,
	ERR_ADDRESS_SPELLING: true,
	ERR_ADDRESS_UNSTABLE: true,
	ERR_CLUSTER_WORKER: true,
	ERR_FLOCK_COMMAND: true,
	ERR_FLOCK_UNAVAILABLE: true,
	ERR_HAND_OVER_FAILED: true,
	ERR_HOLDER_SELF: true,
	ERR_HOLDER_UNVERIFIED: true,
	ERR_INVALID_ARG_TYPE: true,
	ERR_INVALID_ARG_VALUE: true,
	ERR_LEASE_COMPROMISED: true,
	ERR_LISTEN_FDS: true,
	ERR_LIVENESS_UNKNOWN: true,
	ERR_LOCK_BACKEND: true,
	ERR_LOCK_FILE_FOREIGN: true,
	ERR_LOCK_FILE_TYPE: true,
	ERR_LOCK_LOST: true,
	ERR_LOCK_NOT_HELD: true,
	ERR_LOCK_UNSTABLE: true,
	ERR_OUT_OF_RANGE: true,
	ERR_SERVER_ALREADY_LISTEN: true,
	ERR_SERVER_NOT_RUNNING: true,
	ERR_UNSUPPORTED_PLATFORM: true,
	ERR_WORKER_UNSUPPORTED_OPERATION: true,
	UNKNOWN: true,
};

/** Wraps an error that the protocol does not explain. */
export function asBindLockError(address: string, thrown: unknown): BindLockError {
	if (thrown instanceof BindLockError) return thrown;
	const {message, syscall, path} = Object(thrown) as Partial<NodeJS.ErrnoException>;
	return new BindLockError(`Cannot use the address ${printable(address)}: ${String(message ?? show(thrown))}`, {
		code: systemCodeOf(thrown),
		address,
		syscall,
		path,
		cause: thrown,
	});
}
