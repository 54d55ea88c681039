/**
 * The one error class, and the sentences in it. A message alone must tell an operator what was
 * tried, on what, who is in the way, and what to do.
 */
import {constants} from 'node:os';

/** Who has an address. */
export interface Holder {
	/** Process id, as seen from this process's pid namespace (a claim from another namespace: as seen from there). */
	readonly pid: number;
	/** User id of the process; -1 if neither the kernel nor the record tells. */
	readonly uid: number;
	/** Its program and the script of that, without further arguments, which may be secret; empty if unknown. */
	readonly command: string;
	/** When the lock was taken; for a holder that writes no record, when its process started. */
	readonly since: Date | undefined;
	/** The `label` option of the holder, if it gave one. */
	readonly label?: string;
	/** Host name of the holder where it differs from ours: a container that shares the directory. */
	readonly host?: string;
	/**
	 * `'kernel'`: /proc confirms that this process has the lock, or is bound to the address, now.
	 * `'claim'`: only the record says so (another pid namespace, or a process we may not look into).
	 */
	readonly verifiedBy: 'kernel' | 'claim';
}

/** What a {@link BindLockError} is made of besides its message. */
export interface BindLockErrorFields {
	/** As {@link BindLockError.code}. */
	readonly code: string;
	/** As {@link BindLockError.address}. */
	readonly address: string;
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
	readonly code: string;
	/** The negative number that Node gives with this `code`; absent for the `ERR_…` codes. */
	declare readonly errno?: number;
	/** The system call that failed, or that would have. */
	declare readonly syscall?: string;
	/** The address as it was given. */
	readonly address: string;
	/** The file that the error is about, where it is not the address itself. */
	declare readonly path?: string;
	/** Who is in the way, where that could be found out. */
	declare readonly holder?: Holder;
	/** How long was waited for the holder, in milliseconds, if that was asked for. */
	declare readonly waitedMs?: number;

	constructor(message: string, fields: BindLockErrorFields) {
		super(escaped(message), fields.cause === undefined ? undefined : {cause: fields.cause});
		this.code = fields.code;
		this.address = fields.address;
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

/** What a system call threw that no step of the protocol has a better sentence for. */
export function asBindLockError(address: string, thrown: unknown): BindLockError {
	if (thrown instanceof BindLockError) return thrown;
	const {message, syscall, path} = Object(thrown) as Partial<NodeJS.ErrnoException>;
	return new BindLockError(`Cannot use the address ${printable(address)}: ${String(message ?? show(thrown))}`, {
		code: codeOf(thrown),
		address,
		syscall,
		path,
		cause: thrown,
	});
}

/** `pid 12 (node server.js), uid 0, label "blue", since 2026-01-01T00:00:00.000Z`. */
export function describeHolder(holder: Holder): string {
	const parts = [`pid ${holder.pid}${holder.command === '' ? '' : ` (${shorten(holder.command)})`}`];
	if (holder.uid >= 0) parts.push(`uid ${holder.uid}`);
	if (holder.host !== undefined) parts.push(`host ${quoted(holder.host)}`);
	if (holder.label !== undefined) parts.push(`label ${quoted(holder.label)}`);
	if (holder.since !== undefined) parts.push(`since ${holder.since.toISOString()}`);
	if (holder.verifiedBy === 'claim') parts.push('as its record claims; the kernel could not confirm it from here');
	return parts.join(', ');
}

/** An address or file name fit for a message: quoted if it is not fit as it is; the abstract NUL is shown. */
export function printable(name: string): string {
	if (name.startsWith('\0')) return `\\0${printable(name.slice(1))}`;
	return escaped(name) === name ? name : quoted(name);
}

/** Any value, short and fit for a message, also one that cannot be converted. */
export function show(value: unknown): string {
	if (typeof value === 'string') return quoted(value.slice(0, 40));
	try {
		return escaped(String(value).slice(0, 40));
	} catch {
		return typeof value;
	}
}

/** JSON fit for a terminal: by itself it leaves some of these characters raw. */
export function quoted(value: string | object): string {
	return escaped(JSON.stringify(value));
}

/** A text of another user or of the kernel, fit for a message: on one line, and escaped as in JSON. */
export function escaped(text: string): string {
	// Most texts are ASCII, which is sooner seen than each class of Unicode.
	if (/^[ -~]*$/.test(text)) return text;
	return text.replace(unprintable, character => {
		const json = JSON.stringify(character).slice(1, -1);
		return json.startsWith('\\') ? json : character.split('').map(escapeUnit).join('');
	});
}

/**
 * Controls, with which a text makes a line of its own or gives orders to a terminal; format characters, which cannot be
 * seen and may reverse what stands around them; separators of lines and paragraphs; halves of surrogate pairs.
 */
const unprintable: RegExp = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

function escapeUnit(unit: string): string {
	return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function shorten(command: string): string {
	return escaped(command.length > 120 ? `${command.slice(0, 119).toWellFormed()}…` : command);
}

function errnoOf(code: string): number | undefined {
	const errno = (constants.errno as Readonly<Record<string, number>>)[code];
	return errno === undefined ? undefined : -errno;
}
