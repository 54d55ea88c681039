/**
 * Simulated servers that run the shipped protocol: they take, serve and release, in rounds. Their calls for the server
 * (`bind`, `listen`, close) are in the order of `src/server/`.
 */

import type {AbstractAddress, PathnameAddress} from '../../src/model/address.js';
import {call} from '../../src/model/driver.js';
import {codeOf} from '../../src/model/errors.js';
import {isSameFile} from '../../src/model/file-identity.js';
import type {FileStatus} from '../../src/model/system.js';
import {closeSocket, closeSocketByLibuv} from '../../src/protocol/close.js';
import {close, type HeldLock, releaseLock} from '../../src/protocol/held-lock.js';
import type {Patience} from '../../src/protocol/holder-wait.js';
import type {Claim} from '../../src/protocol/lock-file.js';
import {retakePathname, takePathname} from '../../src/protocol/pathname.js';
import {rememberedByTake} from './memory.js';
import type {Phase, Program} from './process.js';
import type {AnySystem, SimulatedCall, SimulatedListener} from './system.js';

export const path = '/s';
export const lockPath = '/s.lock';
export const paths: readonly string[] = [path, lockPath, '/s.aside0', '/s.aside1', '/precious', '/s.new'];
export const address: PathnameAddress = {kind: 'pathname', given: path, path, bindPath: path, lockPath};
export const abstractAddress: AbstractAddress = {
	kind: 'abstract',
	given: '\0s',
	name: 's',
	bindPath: '\0s',
	lockName: 's.lock',
};

/** One record for all processes: the protocol does not compare the pid, and equal records keep equal states equal. */
export const record = '7\n';
export const noPatience: Patience = {began: 0, waitMs: 0, onWait: undefined, replace: undefined};
export const claim: Claim = {
	uid: 0,
	reclaimForeign: false,
	lockFileMode: 0o600,
	record: () => record,
	patience: noPatience,
};

/** Returns the claim with the patience that the option stands for. */
export function patient(claimed: Claim, {waits}: WaitOptions): Claim {
	const waitMs = {no: 0, while: 1000, ever: Number.POSITIVE_INFINITY, replace: 1000}[waits ?? 'no'];
	const replace = waits === 'replace' ? ({killSignal: 'SIGKILL', escalate: false} as const) : undefined;
	return {...claimed, patience: {...noPatience, waitMs, replace}};
}

export interface WaitOptions {
	readonly waits?: 'while' | 'ever' | 'replace';
}

export type Body<Result> = Generator<SimulatedCall, Result, unknown>;

/** The parts of the program. A mutant replaces one of them. */
export interface Parts {
	take(claim: Claim): Body<HeldLock>;
	stop(listener: SimulatedListener, bound: FileStatus | undefined): Body<unknown>;
	giveBack(lock: HeldLock, removeLockFile: boolean): Body<void>;
	/** Sees every call before the kernel, and may answer it. */
	intercept?(calls: Body<Phase | undefined>): Body<Phase | undefined>;
	readonly lockFirst?: boolean;
}

export const shipped: Parts = {
	*take(claimed) {
		const {descriptor, file} = yield* takePathname(address, claimed);
		return {descriptor, file};
	},
	stop: (listener, bound) => {
		return listener.path === undefined
			? closeSocket(address, listener, bound)
			: closeSocketByLibuv(address, listener, bound);
	},
	giveBack: (lock, removeLockFile) => releaseLock(lockPath, lock, removeLockFile),
};

export interface OwnOptions extends WaitOptions {
	readonly rounds?: number;
	readonly removeLockFile?: boolean;
	/** Takes and releases without a server in between. */
	readonly idle?: boolean;
	/** Checks once, while it serves, whether its lock file is still in place. */
	readonly heals?: boolean;
	/** Binds as in a worker thread, where libuv unlinks the path on close. */
	readonly byLibuv?: boolean;
	/** Never stops serving. */
	readonly stays?: boolean;
	readonly network?: number;
	/** Distinguishes processes by all their answers: many more states, the same behaviour. */
	readonly exact?: boolean;
}

/** A server that uses bindlock. */
export function own(options: OwnOptions = {}, mutant = '', parts: Parts = shipped): Program {
	const program = new OwnProgram(options, mutant, parts);
	return {name: program.name, ours: true, network: options.network ?? 0, start: program.taking(options.rounds ?? 1)};
}

class OwnProgram {
	readonly #options: OwnOptions;
	readonly #parts: Parts;
	readonly name: string;

	constructor(options: OwnOptions, mutant: string, parts: Parts) {
		this.#options = options;
		this.#parts = parts;
		const {rounds: _, network: __, ...rest} = options;
		const words = Object.entries(rest).map(([option, value]) => (value === true ? option : `${option} ${value}`));
		this.name = ['own', ...words, ...(mutant === '' ? [] : [mutant])].join(' ');
	}

	#phase(
		name: string,
		passed: unknown,
		holds: boolean,
		body: () => Body<Phase | undefined>,
		remembered?: Phase['remembered'],
	): Phase {
		const {intercept} = this.#parts;
		const whole = (): Body<Phase | undefined> => splitClose(body());
		return {
			name: `${this.name}: ${name} ${JSON.stringify(passed)}`,
			holds,
			body: () => (intercept === undefined ? whole() : intercept(whole())),
			isExact: this.#options.exact ?? false,
			...(remembered === undefined ? {} : {remembered}),
		};
	}

	taking(rounds: number): Phase {
		const {idle} = this.#options;
		const claimed = patient(claim, this.#options);
		const parts = this.#parts;
		return this.#phase(
			'take',
			rounds,
			false,
			function* (this: OwnProgram) {
				let lock: HeldLock;
				try {
					lock = yield* parts.take(claimed);
				} catch (error) {
					if (codeOf(error) === 'UNKNOWN') throw error;
					return rounds > 1 ? this.taking(rounds - 1) : undefined;
				}
				return idle ? this.#givingBack(rounds, lock) : this.#serving(rounds, lock);
			}.bind(this),
			rememberedByTake,
		);
	}

	/** The calls of `ListeningSocket.bind`. */
	#serving(rounds: number, lock: HeldLock): Phase {
		return this.#phase(
			'serve',
			[rounds, lock],
			true,
			function* (this: OwnProgram) {
				let descriptor: number;
				try {
					descriptor = yield* ask('bind', path);
				} catch {
					return this.#givingBack(rounds, lock);
				}
				const {byLibuv} = this.#options;
				const listener = byLibuv ? {descriptor, path} : {descriptor};
				if (byLibuv) yield* ask('listen', descriptor);
				try {
					const bound = yield* ask('lstat', path);
					if (!byLibuv) yield* ask('listen', descriptor);
					if (this.#options.stays) yield* ask('stay');
					if (this.#options.heals) return this.#healing(rounds, lock, listener, bound);
					return this.#stopping(rounds, lock, listener, bound);
				} catch {
					// The close is not intercepted yet.
					yield* ask('closeListener', listener);
					return this.#givingBack(rounds, lock);
				}
			}.bind(this),
		);
	}

	/** The calls of the file guard after the lock file was removed: a new lock file is taken while the server serves. */
	#healing(rounds: number, lock: HeldLock, listener: SimulatedListener, bound: FileStatus | undefined): Phase {
		return this.#phase(
			'heal',
			[rounds, lock, listener, bound],
			true,
			function* (this: OwnProgram) {
				let kept = lock;
				try {
					const isIntact = isSameFile(yield* call('lstat', lockPath), lock.file);
					if (!isIntact) {
						kept = yield* retakePathname(address, patient(claim, {waits: 'while'}));
						yield* close(lock.descriptor);
					}
				} catch {
					// The lock is lost and reported; the server continues.
				}
				return this.#stopping(rounds, kept, listener, bound);
			}.bind(this),
		);
	}

	#stopping(rounds: number, lock: HeldLock, listener: SimulatedListener, bound: FileStatus | undefined): Phase {
		const parts = this.#parts;
		const removeLockFile = this.#options.removeLockFile ?? false;
		return this.#phase(
			'stop',
			[rounds, lock, listener, bound],
			!parts.lockFirst,
			function* (this: OwnProgram) {
				if (parts.lockFirst) yield* parts.giveBack(lock, removeLockFile);
				yield* parts.stop(listener, bound);
				return parts.lockFirst ? this.#after(rounds) : this.#givingBack(rounds, lock);
			}.bind(this),
		);
	}

	#givingBack(rounds: number, lock: HeldLock): Phase {
		const parts = this.#parts;
		const removeLockFile = this.#options.removeLockFile ?? false;
		return this.#phase(
			'give back',
			[rounds, lock],
			false,
			function* (this: OwnProgram) {
				yield* parts.giveBack(lock, removeLockFile);
				return this.#after(rounds);
			}.bind(this),
		);
	}

	#after(rounds: number): Phase | undefined {
		return rounds > 1 ? this.taking(rounds - 1) : undefined;
	}
}

/** Splits the close of a listener that libuv has bound into its two system calls, so that others can act in between. */
export function* splitClose<Result>(calls: Body<Result>): Body<Result> {
	return yield* answering(calls, function* (call) {
		if (call.name !== 'closeListener') return yield call;
		const {descriptor, path: boundPath} = call.parameters[0] as SimulatedListener;
		if (boundPath !== undefined) yield* ask('unlinkAsLibuv', boundPath);
		try {
			yield* ask('close', descriptor);
		} catch {
			// The descriptor is closed in spite of the error, which libuv ignores.
		}
		return undefined;
	});
}

/** Runs the calls with `answer` between them and the kernel. */
export function* answering<Result>(calls: Body<Result>, answer: (call: SimulatedCall) => Body<unknown>): Body<Result> {
	let step = calls.next();
	while (!step.done) {
		let value: unknown;
		try {
			value = yield* answer(step.value);
		} catch (error) {
			step = calls.throw(error);
			continue;
		}
		step = calls.next(value);
	}
	return step.value;
}

/** `call` of the protocol, extended by the calls that only servers and outsiders make. */
export function* ask<Name extends keyof AnySystem>(
	name: Name,
	...parameters: Parameters<AnySystem[Name]>
): Generator<SimulatedCall, Awaited<ReturnType<AnySystem[Name]>>, unknown> {
	return (yield {name, parameters} as unknown as SimulatedCall) as Awaited<ReturnType<AnySystem[Name]>>;
}
