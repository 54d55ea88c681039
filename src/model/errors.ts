/**
 * The one error class, and the sentences in it. A message alone must tell an operator what was
 * tried, on what, who is in the way, and what to do.
 */
import {constants} from 'node:os';
import {describeHolder, type Holder} from './holder.js';
import {escaped, printable, show} from './text.js';

/**
 * The codes of errors: those of bindlock itself, and those of failed system calls, as the kernel names them (`errno(3)`).
 * `'UNKNOWN'` is for an error without a code. docs/errors.md explains each.
 */
export type BindLockErrorCode =
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

/** What a {@link BindLockError} is made of besides its message. */
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
	/** What was thrown before, as `Error` takes it. */
	readonly cause?: unknown;
}

/**
 * Every error that bindlock raises about an address, except an abort, which rejects with the
 * signal's own reason.
 *
 * A taken address has `code: 'EADDRINUSE'`, and `errno` and `syscall` as `server.listen()` of Node
 * gives them, so code written for TCP works unchanged. The message is one line and fit for a
 * terminal, whatever names and texts of others are in it; the fields have them as they are.
 */
export class BindLockError extends Error {
	/** For those who cannot use `instanceof`, as after a message to another thread. */
	override readonly name = 'BindLockError' as const;
	/** As the kernel names it (`'EADDRINUSE'`, `'EACCES'`, …) or, where it has no name, `'ERR_…'`. */
	readonly code: BindLockErrorCode;
	/** The negative number that Node gives with this `code`; absent for the `ERR_…` codes. */
	declare readonly errno?: number;
	/** The system call that failed, or that would have. */
	declare readonly syscall?: string;
	/** The address as it was given; absent where an error is about options only. */
	declare readonly address?: string;
	/** The file that the error is about, where it is not the address itself. */
	declare readonly path?: string;
	/** Who is in the way, where that could be found out. */
	declare readonly holder?: Holder;
	/** How long was waited for the holder, in milliseconds, if that was asked for. */
	declare readonly waitedMs?: number;

	constructor(message: string, fields: BindLockErrorFields) {
		super(escaped(message), fields.cause === undefined ? undefined : {cause: fields.cause});
		this.code = fields.code;
		if (fields.address !== undefined) this.address = fields.address;
		const errno = errnoOf(fields.code);
		if (errno !== undefined) this.errno = errno;
		if (fields.syscall !== undefined) this.syscall = fields.syscall;
		if (fields.path !== undefined) this.path = fields.path;
		if (fields.holder !== undefined) this.holder = fields.holder;
		if (fields.waitedMs !== undefined) this.waitedMs = fields.waitedMs;
	}
}

/** The address is served, or reserved: what TCP says with EADDRINUSE, and by whom. */
export function addressInUse(
	address: string,
	by: {
		readonly holder?: Holder | undefined;
		readonly why: string;
		readonly waitedMs?: number | undefined;
		readonly cause?: unknown;
	},
): BindLockError {
	const waited = by.waitedMs === undefined ? '' : `; waited ${by.waitedMs} ms`;
	const who = by.holder === undefined ? '' : ` ${describeHolder(by.holder)}`;
	return new BindLockError(
		`listen EADDRINUSE: address already in use ${printable(address)}: ${by.why}${who}${waited}`,
		{
			code: 'EADDRINUSE',
			syscall: 'listen',
			address,
			holder: by.holder,
			waitedMs: by.waitedMs,
			cause: by.cause,
		},
	);
}

/** Errors that are made in `body` do not record where: that costs more than most system calls. */
export function withoutStacks<Result>(body: () => Result): Result {
	const {stackTraceLimit} = Error;
	try {
		limitStacks(0);
		return body();
	} finally {
		limitStacks(stackTraceLimit);
	}
}

/** Not where the intrinsics are frozen. */
function limitStacks(frames: number): void {
	try {
		Error.stackTraceLimit = frames;
	} catch {}
}

/** The code of whatever was thrown, `'UNKNOWN'` if it has none. */
export function codeOf(thrown: unknown): string {
	const code = (thrown as {code?: unknown} | null | undefined)?.code;
	return typeof code === 'string' ? code : 'UNKNOWN';
}

/** The code of a failed system call, for an error that passes it on. */
export function systemCodeOf(thrown: unknown): BindLockErrorCode {
	return codeOf(thrown) as BindLockErrorCode;
}

/** What a system call threw that no step of the protocol has a better sentence for. */
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

function errnoOf(code: string): number | undefined {
	const errno = (constants.errno as Readonly<Record<string, number>>)[code];
	return errno === undefined ? undefined : -errno;
}
