/**
 * Validation of options, before the first system call.
 */
import {constants} from 'node:os';
import {BindLockError} from './errors.js';
import type {AcquireOptions, HandOverOptions, ListenOptions, RegisterOptions, ReplaceOptions} from './options.js';
import {show} from './text.js';
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
} from './value-checks.js';

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkRegisterOptions(options: unknown): RegisterOptions {
	return check<RegisterOptions>(undefined, options, registerChecks);
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkHandOverOptions(address: string | undefined, options: unknown): HandOverOptions {
	return check<HandOverOptions>(address, options, handOverChecks);
}

/** @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE` */
export function checkAcquireOptions(address: string, options: unknown): AcquireOptions {
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
		const problem = firstProblem(value, replaceChecks);
		return problem && {...problem, isOfMember: true};
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
	killSignal: value =>
		typeof value === 'string' && Object.hasOwn(constants.signals, value)
			? undefined
			: wrongType("a signal's name, as 'SIGTERM'"),
	timeoutMs: duration,
	escalate: boolean,
};

const listenChecks: Readonly<Record<keyof ListenOptions, Check>> = {
	...acquireChecks,
	backlog: value => wholeNumber(value, 0x7fff_ffff),
	readableAll: boolean,
	writableAll: boolean,
	socketMode: mode,
	heal: boolean,
	drainMs: duration,
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
	drainMs: duration,
	exclude: value => (value instanceof RegExp ? undefined : wrongType('a RegExp')),
};

const handOverChecks: Readonly<Record<keyof HandOverOptions, Check>> = {
	args: strings,
	execArgv: strings,
	env: value => (typeof value === 'object' && value !== null ? undefined : wrongType('an object')),
	cwd: value => (typeof value === 'string' ? undefined : wrongType('a string')),
	timeoutMs: duration,
	drainMs: duration,
};

function check<Options>(
	address: string | undefined,
	options: unknown,
	checks: Readonly<Record<string, Check>>,
): Options {
	if (typeof options !== 'object' || options === null) {
		throw refuse(address, 'ERR_INVALID_ARG_TYPE', `The options must be an object; got ${show(options)}`);
	}
	const own = ownOptions(options, Object.keys(checks));
	const problem = firstProblem(own, checks);
	if (problem !== undefined) throw refuse(address, problem.code, `The option ${problem.expected}`);
	return own as Options;
}

/** A copy, so that later changes of the object have no effect. It includes options that a class instance inherits. */
function ownOptions(options: object, names: readonly string[]): object {
	const prototype: unknown = Object.getPrototypeOf(options);
	if (prototype === Object.prototype || prototype === null) return {...options};
	const inherited = names.filter(name => name in options);
	return {...Object.fromEntries(inherited.map(name => [name, Reflect.get(options, name)])), ...options};
}

/** The first invalid option, with its name and value. */
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
		const {code, expected, isOfMember} = problem;
		return {code, expected: isOfMember ? `${name}: ${expected}` : `${name} must be ${expected}; got ${show(value)}`};
	}
	return undefined;
}

function refuse(address: string | undefined, code: Problem['code'], message: string): BindLockError {
	return new BindLockError(message, {code, address});
}
