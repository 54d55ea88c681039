/**
 * Servers that hand over: each generation starts the next one, in the order of `src/hand-over/` and `src/server/`.
 * Generation 0 takes the address. Every other one inherits it, or takes it if its predecessor has died too early.
 */
import {codeOf} from '../../src/model/errors.js';
import {type FileIdentity, isSameFile} from '../../src/model/file-identity.js';
import type {FileStatus} from '../../src/model/system.js';
import {closeSocket} from '../../src/protocol/close.js';
import {adoptLock, type HeldLock, leaveLock, releaseLock, writeRecord} from '../../src/protocol/held-lock.js';
import {takePathname} from '../../src/protocol/pathname.js';
import type {Kernel, Message} from './kernel.js';
import {rememberedByTake} from './memory.js';
import type {Phase, Program} from './process.js';
import {address, ask, type Body, claim, lockPath, path, patient, record, splitClose} from './programs.js';
import type {SimulatedListener} from './system.js';

export interface GenerationOptions {
	/** How many servers there are. The last one hands over to nobody. */
	readonly generations: number;
	/** The last server never stops serving. */
	readonly stays?: boolean;
	/** Generation 0 serves from the beginning: see {@link serving}. */
	readonly serves?: boolean;
	/** See `OwnOptions`. */
	readonly exact?: boolean;
}

/** What a server needs to serve. */
export interface Served {
	readonly lock: HeldLock;
	readonly listener: SimulatedListener;
	/** The socket file. */
	readonly bound: FileStatus | undefined;
}

/** The parts of a hand-over, so that a mutant can put in a broken one. */
export interface HandOverParts {
	/** The message of the successor on which the predecessor leaves. */
	readonly leavesOn: 'ready' | 'serving';
	/** The predecessor leaves the socket and the lock to its successor, and says so. */
	leave(served: Served, successor: number): Body<void>;
	/** The predecessor ends a successor that has failed. */
	end(successor: number): Body<void>;
	/** @returns whether a predecessor that has left serves again */
	drain(served: Served, successor: number): Body<boolean>;
	/** The successor checks the socket file at its path. */
	check(found: FileStatus | undefined, bound: FileIdentity): boolean;
	/** The successor waits until its predecessor has left. */
	awaitTurn(predecessor: number): Body<void>;
	/** The successor gives up the lock that it has inherited without the socket. */
	disown(lock: HeldLock): Body<void>;
}

const never = Number.POSITIVE_INFINITY;

export const shippedHandOver: HandOverParts = {
	leavesOn: 'serving',
	*leave({listener, lock}, successor) {
		yield* ask('closeListener', listener);
		yield* leaveLock(lock, undefined);
		yield* ask('send', successor, {step: 'yours'});
	},
	*end(successor) {
		yield* ask('kill', successor);
		yield* ask('awaitExit', successor);
	},
	// biome-ignore lint/correctness/useYield: it makes no calls
	*drain() {
		return false;
	},
	check: (found, bound) => isSameFile(found, bound),
	*awaitTurn(predecessor) {
		// It says that it has left, or it has died.
		yield* ask('receive', predecessor, never);
	},
	disown: lock => leaveLock(lock, undefined),
};

/** The state of the kernel while generation 0 serves. */
export function serving(kernel: Kernel): void {
	const lock = kernel.create(lockPath, {type: 'file', content: record});
	const ino = kernel.create(path, {type: 'socket'});
	kernel.open(0, {kind: 'file', ino: lock, lock: 'exclusive', pin: false});
	kernel.open(0, {kind: 'socket', ino, path, listening: true, full: false});
}

/** What generation 0 knows in that state. */
function servedFromTheBeginning(): Served {
	const status = {dev: 1, mode: 0o600, nlink: 1, uid: 0} as const;
	return {
		lock: {descriptor: 0, file: {...status, ino: 1, type: 'file', size: 0}},
		listener: {descriptor: 1},
		bound: {...status, ino: 2, type: 'socket', size: 0},
	};
}

/** @param number of the generation, and of its process */
export function generation(
	number: number,
	options: GenerationOptions,
	mutant = '',
	parts: HandOverParts = shippedHandOver,
): Program {
	return new Generation(number, options, mutant, parts).program;
}

class Generation {
	readonly #number: number;
	readonly #options: GenerationOptions;
	readonly #name: string;
	readonly #parts: HandOverParts;

	constructor(number: number, options: GenerationOptions, mutant: string, parts: HandOverParts) {
		this.#number = number;
		this.#options = options;
		this.#name = `generation ${number} ${JSON.stringify(options)} ${mutant}`;
		this.#parts = parts;
	}

	get program(): Program {
		return {name: this.#name, ours: true, start: this.#start()};
	}

	#start(): Phase {
		if (this.#number > 0) return this.#unborn();
		return this.#options.serves ? this.#serving(servedFromTheBeginning(), 1) : this.#taking();
	}

	#phase(name: string, passed: unknown, flags: Partial<Phase>, body: () => Body<Phase | undefined>): Phase {
		return {
			name: `${this.#name}: ${name} ${JSON.stringify(passed)}`,
			holds: false,
			isVital: true,
			isExact: this.#options.exact ?? false,
			...flags,
			body: () => splitClose(body.call(this)),
		};
	}

	#taking(): Phase {
		return this.#phase('take', [], {remembered: rememberedByTake}, function* (this: Generation) {
			try {
				const {descriptor, file} = yield* takePathname(address, patient(claim, {waits: 'ever'}));
				return this.#binding({descriptor, file});
			} catch (error) {
				if (codeOf(error) === 'UNKNOWN') throw error;
				return undefined;
			}
		});
	}

	#binding(lock: HeldLock): Phase {
		return this.#phase('serve', lock, {holds: true}, function* (this: Generation) {
			let listener: SimulatedListener | undefined;
			try {
				listener = {descriptor: yield* ask('bind', path)};
				const bound = yield* ask('lstat', path);
				yield* ask('listen', listener.descriptor);
				return this.#serving({lock, listener, bound}, this.#number + 1);
			} catch {
				if (listener !== undefined) yield* ask('closeListener', listener);
				return this.#releasing(lock);
			}
		});
	}

	/** @param successor the next one that is started, if there is one left */
	#serving(served: Served, successor: number): Phase {
		const {generations, stays} = this.#options;
		if (successor < generations) return this.#offering(served, successor);
		return this.#phase('accept', served, {holds: true, accepts: true}, function* (this: Generation) {
			if (stays) yield* ask('stay');
			yield* closeSocket(address, served.listener, served.bound);
			return this.#releasing(served.lock);
		});
	}

	#releasing(lock: HeldLock): Phase {
		return this.#phase('release', lock, {}, function* () {
			yield* releaseLock(lockPath, lock, false);
			return undefined;
		});
	}

	/** `handOver`: the successor starts, while this process serves. */
	#offering(served: Served, successor: number): Phase {
		const flags = {holds: true, accepts: true};
		return this.#phase('offer', [served, successor], flags, function* (this: Generation) {
			const {lock, listener, bound} = served;
			try {
				yield* ask('fork', successor, [lock.descriptor]);
			} catch {
				return this.#serving(served, successor + 1);
			}
			for (;;) {
				const mail = yield* ask('receive', successor, 0);
				const step = mail ? mail.message.step : 'failed';
				if (step === 'ready') yield* ask('send', successor, socketMessage(bound), listener.descriptor);
				if (step === this.#parts.leavesOn) return this.#leaving(served, successor);
				if (step === 'failed') return this.#withdrawing(served, successor);
			}
		});
	}

	/** The successor has failed, or takes too long. */
	#withdrawing(served: Served, successor: number): Phase {
		const flags = {holds: true, accepts: true};
		return this.#phase('withdraw', [served, successor], flags, function* (this: Generation) {
			yield* this.#parts.end(successor);
			return this.#serving(served, successor + 1);
		});
	}

	#leaving(served: Served, successor: number): Phase {
		return this.#phase('leave', [served, successor], {accepts: true}, function* (this: Generation) {
			yield* this.#parts.leave(served, successor);
			return this.#draining(served, successor);
		});
	}

	#draining(served: Served, successor: number): Phase {
		return this.#phase('drain', [served, successor], {isVital: false}, function* (this: Generation) {
			const returns = yield* this.#parts.drain(served, successor);
			return returns ? this.#serving(served, this.#options.generations) : undefined;
		});
	}

	#unborn(): Phase {
		return this.#phase('unborn', [], {isVital: false}, function* (this: Generation) {
			return this.#inheriting(yield* ask('awaitFork'));
		});
	}

	/** `receiveInheritance`, and the start of `BoundServer`. */
	#inheriting(predecessor: number): Phase {
		return this.#phase('inherit', predecessor, {isVital: false}, function* (this: Generation) {
			yield* ask('send', predecessor, {step: 'ready'});
			const mail = yield* ask('receive', predecessor, never);
			let lock: HeldLock;
			try {
				lock = yield* adoptLock(address, 0);
			} catch {
				yield* ask('send', predecessor, {step: 'failed'});
				if (!mail) return this.#taking();
				yield* ask('closeListener', {descriptor: mail.descriptor as number});
				return undefined;
			}
			if (!mail) {
				yield* this.#parts.disown(lock);
				return this.#taking();
			}
			const listener = {descriptor: mail.descriptor as number};
			try {
				const bound = yield* ask('lstat', path);
				if (!this.#parts.check(bound, mail.message.file as FileIdentity)) throw new Error('another file');
				yield* ask('send', predecessor, {step: 'serving'});
				return this.#awaitingTurn(predecessor, {lock, listener, bound});
			} catch {
				yield* ask('send', predecessor, {step: 'failed'});
				yield* ask('closeListener', listener);
				yield* leaveLock(lock, undefined);
				return undefined;
			}
		});
	}

	#awaitingTurn(predecessor: number, served: Served): Phase {
		return this.#phase('await its turn', [predecessor, served], {}, function* (this: Generation) {
			yield* this.#parts.awaitTurn(predecessor);
			return this.#announcing(served);
		});
	}

	#announcing(served: Served): Phase {
		return this.#phase('announce', served, {holds: true}, function* (this: Generation) {
			yield* writeRecord(served.lock, record);
			return this.#serving(served, this.#number + 1);
		});
	}
}

function socketMessage(bound: FileStatus | undefined): Message {
	return {step: 'socket', ...(bound === undefined ? {} : {file: {dev: bound.dev, ino: bound.ino}})};
}
