/**
 * The options, checked before the first system call.
 */
import {constants} from 'node:os';
import {
	boolean,
	type Check,
	duration,
	invalid,
	mode,
	outOfRange,
	type Problem,
	strings,
	wholeNumber,
	wrongType,
} from './checks.js';
import {BindLockError} from './errors.js';
import type {Holder} from './holder.js';
import {show} from './text.js';

/** Options of {@link acquire}. */
export interface AcquireOptions {
	/**
	 * How long to wait for a holder to go, in milliseconds; `Infinity`: for ever. Default: 0, refuse
	 * at once. A server that takes no lock is not waited for.
	 */
	readonly waitMs?: number | undefined;
	/**
	 * Called once, when a wait begins, with the holder; `undefined` if it cannot be seen from here. With `replace` the
	 * holder has been asked to go by then. What this throws ends the wait, and is the `cause` of its error.
	 */
	readonly onWait?: ((holder: Holder | undefined) => void) | undefined;
	/** Ask the present holder to go, then wait for it. Default: `undefined`, wait only. */
	readonly replace?: ReplaceOptions | undefined;
	/** Aborts the taking: the promise is rejected with the signal's reason, and nothing is left behind. */
	readonly signal?: AbortSignal | undefined;
	/** Free text for whoever is refused by this lock, for example the name of the service. At most 200 characters. */
	readonly label?: string | undefined;
	/**
	 * `'flock'`, or for a filesystem that has none `'lease'`: proper-lockfile's directory with a
	 * heartbeat, which is weaker (see docs/lease.md) and never chosen by itself. All servers of an
	 * address must use the same. Default: `'flock'`.
	 */
	readonly backend?: 'flock' | 'lease' | undefined;
	/**
	 * Remove the lock file on release. Default: `false`, an empty file stays. Programs that lock the
	 * same file without comparing inodes (libwayland) can then split the lock.
	 */
	readonly removeLockFile?: boolean | undefined;
	/** Mode of a lock file that has to be created, whatever the umask. Default: `0o600`. */
	readonly lockFileMode?: number | undefined;
	/**
	 * Remove a dead socket of another user, too, where the directory lets us. Default: `false`: refused with `EPERM`
	 * (root may remove anybody's). It is dead if no process is seen to be bound to it and it refuses our connection,
	 * for which its server must have made it writable for us (`socketMode`). The risk: a server of that user that takes
	 * no lock may be invisible from here; if it is bound in another network namespace (another container) and does not
	 * listen yet, its socket is removed. Servers that hold the lock are safe.
	 */
	readonly reclaimForeign?: boolean | undefined;
	/**
	 * In a worker of `node:cluster`: the address is this worker's own, not shared with the others. The server then has
	 * to be bound with `exclusive: true`, too ({@link listen} does that). Default: `false`: refused in a worker, because
	 * the primary binds for all of them.
	 */
	readonly exclusive?: boolean | undefined;
}

/** How to take an address over on purpose. */
export interface ReplaceOptions {
	/** What the holder is sent, if the kernel confirms that it has the lock. Default: `'SIGTERM'`. */
	readonly signal?: NodeJS.Signals | undefined;
	/** How long it may take to go, in milliseconds, whatever `waitMs` says. Default: `waitMs` if that is given, else 10,000. */
	readonly timeoutMs?: number | undefined;
	/** Send `SIGKILL` after that, and wait as long again, at least 5 seconds. Default: `false`: then it is EADDRINUSE. */
	readonly escalate?: boolean | undefined;
}

/** Options of {@link listen}. */
export interface ListenOptions extends AcquireOptions {
	/** As for `server.listen()`. Default: 511. */
	readonly backlog?: number | undefined;
	/** As for `server.listen()`: all users may read. Default: `false`. */
	readonly readableAll?: boolean | undefined;
	/** As for `server.listen()`: all users may write. Default: `false`. */
	readonly writableAll?: boolean | undefined;
	/**
	 * Mode of the socket file, set right after the bind. Default: what the umask leaves. Where it lacks `0o200`, only
	 * root can find out after a crash that nobody serves there.
	 */
	readonly socketMode?: number | undefined;
	/**
	 * Make the lock file again, and bind the socket again, when somebody removes them (tmp cleaners
	 * do), or put another directory at the path, and nobody was faster; open connections go on. Default: `true`.
	 */
	readonly heal?: boolean | undefined;
}

/** Options of {@link handOver}. */
export interface HandOverOptions {
	/** Arguments of the successor. Default: none. */
	readonly args?: readonly string[] | undefined;
	/** Options of its Node. Default: those of this process. */
	readonly execArgv?: readonly string[] | undefined;
	/** Its environment. Default: that of this process. */
	readonly env?: Readonly<NodeJS.ProcessEnv> | undefined;
	/** Its working directory. Default: that of this process. */
	readonly cwd?: string | undefined;
	/** How long it may take to serve, in milliseconds; then it is killed. Default: 30,000. */
	readonly timeoutMs?: number | undefined;
}

/** Options of `register`: those of {@link listen} that are not about the bind itself, for every server. */
export interface RegisterOptions
	extends Pick<
		ListenOptions,
		'waitMs' | 'replace' | 'label' | 'backend' | 'removeLockFile' | 'lockFileMode' | 'reclaimForeign' | 'heal'
	> {
	/** Addresses, as they are given to `listen`, that are left alone. Default: none. */
	readonly exclude?: RegExp | undefined;
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkRegisterOptions(options: unknown): RegisterOptions {
	return check<RegisterOptions>('', options, registerChecks);
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkHandOverOptions(address: string, options: unknown): HandOverOptions {
	return check<HandOverOptions>(address, options, handOverChecks);
}

/** Needs no check. */
export const noOptions: AcquireOptions = Object.freeze({});

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkAcquireOptions(address: string, options: unknown): AcquireOptions {
	if (options === noOptions) return noOptions;
	return check<AcquireOptions>(address, options, acquireChecks);
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkListenOptions(address: string, options: unknown): ListenOptions {
	return check<ListenOptions>(address, options, listenChecks);
}

const acquireChecks: Readonly<Record<keyof AcquireOptions, Check>> = {
	waitMs: duration,
	onWait: value => (typeof value === 'function' ? undefined : wrongType('a function')),
	replace: value => {
		if (typeof value !== 'object' || value === null) return wrongType('an object');
		return firstProblem(value, replaceChecks);
	},
	signal: value => (value instanceof AbortSignal ? undefined : wrongType('an AbortSignal')),
	label: value => {
		if (typeof value !== 'string') return wrongType('a string');
		return value.length <= 200 ? undefined : outOfRange('at most 200 characters long');
	},
	backend: value => (value === 'flock' || value === 'lease' ? undefined : invalid("'flock' or 'lease'")),
	removeLockFile: boolean,
	lockFileMode: mode,
	reclaimForeign: boolean,
	exclusive: boolean,
};

const replaceChecks: Readonly<Record<keyof ReplaceOptions, Check>> = {
	signal: value =>
		typeof value === 'string' && Object.hasOwn(constants.signals, value)
			? undefined
			: wrongType("a signal's name, as 'SIGTERM'"),
	timeoutMs: duration,
	escalate: boolean,
};

const listenChecks: Readonly<Record<keyof ListenOptions, Check>> = {
	...acquireChecks,
	backlog: value => wholeNumber(value, 0, 0x7fff_ffff),
	readableAll: boolean,
	writableAll: boolean,
	socketMode: mode,
	heal: boolean,
};

const registerChecks: Readonly<Record<keyof RegisterOptions, Check>> = {
	waitMs: duration,
	replace: acquireChecks.replace,
	label: acquireChecks.label,
	backend: acquireChecks.backend,
	removeLockFile: boolean,
	lockFileMode: mode,
	reclaimForeign: boolean,
	heal: boolean,
	exclude: value => (value instanceof RegExp ? undefined : wrongType('a RegExp')),
};

const handOverChecks: Readonly<Record<keyof HandOverOptions, Check>> = {
	args: strings,
	execArgv: strings,
	env: value => (typeof value === 'object' && value !== null ? undefined : wrongType('an object')),
	cwd: value => (typeof value === 'string' ? undefined : wrongType('a string')),
	timeoutMs: value => {
		if (typeof value !== 'number') return wrongType('a number of milliseconds');
		// What a timer can wait.
		return value > 0 && value <= 0x7fff_ffff
			? undefined
			: outOfRange('more than 0 and at most 2147483647 milliseconds');
	},
};

function check<Options>(address: string, options: unknown, checks: Readonly<Record<string, Check>>): Options {
	if (typeof options !== 'object' || options === null) {
		throw refuse(address, 'ERR_INVALID_ARG_TYPE', `The options must be an object; got ${show(options)}`);
	}
	const own = ownOptions(options, Object.keys(checks));
	const problem = firstProblem(own, checks);
	if (problem !== undefined) throw refuse(address, problem.code, `The option ${problem.expected}`);
	return own as Options;
}

/** As they are now, whatever becomes of the object; with those that it has from its class. */
function ownOptions(options: object, names: readonly string[]): object {
	const prototype: unknown = Object.getPrototypeOf(options);
	if (prototype === Object.prototype || prototype === null) return {...options};
	const inherited = names.filter(name => name in options);
	return {...Object.fromEntries(inherited.map(name => [name, Reflect.get(options, name)])), ...options};
}

/** With the option's name, and what was got instead. */
function firstProblem(options: object, checks: Readonly<Record<string, Check>>): Problem | undefined {
	for (const [name, value] of Object.entries(options)) {
		if (value === undefined) continue;
		const checkOne = Object.hasOwn(checks, name) ? checks[name] : undefined;
		if (checkOne === undefined) {
			return {
				code: 'ERR_INVALID_ARG_VALUE',
				expected: `"${name}" does not exist; there are ${Object.keys(checks).join(', ')}`,
			};
		}
		const problem = checkOne(value);
		if (problem === undefined) continue;
		const inside = typeof value === 'object' && value !== null && Object.hasOwn(nested, name);
		return {
			code: problem.code,
			expected: inside ? `${name}: ${problem.expected}` : `${name} must be ${problem.expected}; got ${show(value)}`,
		};
	}
	return undefined;
}

/** Options that are objects, whose own check says which of its members is wrong. */
const nested: Readonly<Record<string, true>> = {replace: true};

function refuse(address: string, code: string, message: string): BindLockError {
	return new BindLockError(message, {code, address});
}
