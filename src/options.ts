/**
 * The options, checked before the first system call.
 */
import {BindLockError} from './errors.js';

/** Options of {@link acquire}. */
export interface AcquireOptions {
	/** Aborts the taking: the promise is rejected with the signal's reason, and nothing is left behind. */
	readonly signal?: AbortSignal | undefined;
	/** Free text for whoever is refused by this lock, for example the name of the service. At most 200 characters. */
	readonly label?: string | undefined;
	/**
	 * Remove the lock file on release. Default: `false`, an empty file stays. Programs that lock the
	 * same file without comparing inodes (libwayland) can then split the lock.
	 */
	readonly removeLockFile?: boolean | undefined;
	/** Mode of a lock file that has to be created, less the umask. Default: `0o600`. */
	readonly lockFileMode?: number | undefined;
}

/** Options of {@link listen}. */
export interface ListenOptions extends AcquireOptions {
	/** As for `server.listen()`. Default: 511. */
	readonly backlog?: number | undefined;
	/** As for `server.listen()`: all users may read. Default: `false`. */
	readonly readableAll?: boolean | undefined;
	/** As for `server.listen()`: all users may write. Default: `false`. */
	readonly writableAll?: boolean | undefined;
	/** Mode of the socket file, set right after the bind. Default: what the umask leaves. */
	readonly socketMode?: number | undefined;
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkAcquireOptions(address: string, options: unknown): AcquireOptions {
	return check<AcquireOptions>(address, options, acquireChecks);
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkListenOptions(address: string, options: unknown): ListenOptions {
	return check<ListenOptions>(address, options, listenChecks);
}

type Check = (value: unknown) => Problem | undefined;

interface Problem {
	readonly code: 'ERR_INVALID_ARG_TYPE' | 'ERR_OUT_OF_RANGE';
	readonly expected: string;
}

const acquireChecks: Readonly<Record<keyof AcquireOptions, Check>> = {
	signal: value => (value instanceof AbortSignal ? undefined : wrongType('an AbortSignal')),
	label: value => {
		if (typeof value !== 'string') return wrongType('a string');
		return value.length <= 200 ? undefined : outOfRange('at most 200 characters long');
	},
	removeLockFile: boolean,
	lockFileMode: mode,
};

const listenChecks: Readonly<Record<keyof ListenOptions, Check>> = {
	...acquireChecks,
	backlog: value => wholeNumber(value, 0, 0x7fff_ffff),
	readableAll: boolean,
	writableAll: boolean,
	socketMode: mode,
};

function check<Options>(address: string, options: unknown, checks: Readonly<Record<string, Check>>): Options {
	if (typeof options !== 'object' || options === null) {
		throw refuse(address, 'ERR_INVALID_ARG_TYPE', `The options must be an object; got ${show(options)}`);
	}
	for (const [name, value] of Object.entries(options)) {
		if (value === undefined) continue;
		const checkOne = Object.hasOwn(checks, name) ? checks[name] : undefined;
		if (checkOne === undefined) {
			throw refuse(
				address,
				'ERR_INVALID_ARG_VALUE',
				`There is no option "${name}"; there are ${Object.keys(checks).join(', ')}`,
			);
		}
		const problem = checkOne(value);
		if (problem !== undefined) {
			throw refuse(address, problem.code, `The option ${name} must be ${problem.expected}; got ${show(value)}`);
		}
	}
	return options as Options;
}

function boolean(value: unknown): Problem | undefined {
	return typeof value === 'boolean' ? undefined : wrongType('a boolean');
}

function mode(value: unknown): Problem | undefined {
	return wholeNumber(value, 0, 0o777);
}

function wholeNumber(value: unknown, least: number, most: number): Problem | undefined {
	if (typeof value !== 'number') return wrongType('a number');
	const fits = Number.isInteger(value) && value >= least && value <= most;
	return fits ? undefined : outOfRange(`a whole number from ${least} to ${most}`);
}

function wrongType(expected: string): Problem {
	return {code: 'ERR_INVALID_ARG_TYPE', expected};
}

function outOfRange(expected: string): Problem {
	return {code: 'ERR_OUT_OF_RANGE', expected};
}

function refuse(address: string, code: string, message: string): BindLockError {
	return new BindLockError(message, {code, address: String(address)});
}

function show(value: unknown): string {
	return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value).slice(0, 40);
}
