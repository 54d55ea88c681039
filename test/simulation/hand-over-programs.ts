/**
 * Simulated generations of a server that hands over: with the shipped protocol, in the order of the calls in
 * `src/hand-over/` and `src/server/bound-server.ts`. The first generation serves when the scenario begins.
 */

import {call} from '../../src/model/driver.js';
import {codeOf} from '../../src/model/errors.js';
import {isSameFile} from '../../src/model/file-identity.js';
import type {FileStatus} from '../../src/model/system.js';
import {closeSocket} from '../../src/protocol/close.js';
import {adoptLock, close, type HeldLock, leaveLock, releaseLock, writeRecord} from '../../src/protocol/held-lock.js';
import type {Kernel} from './kernel.js';
import type {Phase, Program} from './process.js';
import {address, ask, type Body, lockPath, own, path, record} from './programs.js';

/** The resources of a serving generation. */
interface Served {
	readonly lock: HeldLock;
	readonly listener: number;
	readonly bound: FileStatus;
}

/** The parts of the programs. A mutant replaces one of them. */
export interface HandOverParts {
	/** The predecessor stops, because its successor is ready. */
	leave(served: Served): Body<void>;
	/** The predecessor leaves before its successor is ready. */
	readonly leavesEarly?: boolean;
	/** The successor accepts connections when it is ready. */
	readonly acceptsEarly?: boolean;
	/** The successor does not close the lock of a predecessor that has died before it sent the socket. */
	readonly keepsLock?: boolean;
	/** The predecessor serves again when its successor has died. */
	readonly servesAgain?: boolean;
}

export const shippedHandOver: HandOverParts = {
	*leave({lock, listener}) {
		yield* ask('closeListener', {descriptor: listener});
		yield* leaveLock(lock, undefined);
	},
};

/** Creates the lock and the listening socket of the first generation. */
export function servedByFirst(kernel: Kernel): void {
	const lock = kernel.create(lockPath, {type: 'file', content: record});
	kernel.open(0, {kind: 'file', ino: lock, lock: 'exclusive', pin: false});
	const socket = kernel.create(path, {type: 'socket'});
	kernel.open(0, {kind: 'socket', ino: socket, path, listening: true, full: false});
}

/**
 * Returns the programs of some generations. Their numbers are their pids.
 *
 * @param mutant the name of the mutant
 */
export function generations(count: number, mutant = '', parts: HandOverParts = shippedHandOver): Program[] {
	return Array.from({length: count}, (_, pid) => {
		const generation = new Generation(pid, count, mutant, parts);
		return {name: generation.name, ours: true, start: pid === 0 ? generation.first() : generation.born()};
	});
}

class Generation {
	readonly name: string;
	readonly #pid: number;
	readonly #successor: number | undefined;
	readonly #predecessor: number;
	readonly #parts: HandOverParts;

	constructor(pid: number, count: number, mutant: string, parts: HandOverParts) {
		this.name = `generation ${pid} of ${count} ${mutant}`;
		this.#pid = pid;
		this.#predecessor = pid - 1;
		this.#successor = pid + 1 < count ? pid + 1 : undefined;
		this.#parts = parts;
	}

	#phase(name: string, passed: unknown, holds: boolean, body: () => Body<Phase | undefined>): Phase {
		return {name: `${this.name}: ${name} ${JSON.stringify(passed)}`, holds, body};
	}

	/** The inode numbers are those of {@link servedByFirst}. */
	first(): Phase {
		const status = {dev: 1, mode: 0o600, nlink: 1, uid: 0} as const;
		const file = {...status, type: 'file', ino: 1, size: record.length} as const;
		const bound = {...status, type: 'socket', ino: 2, size: 0} as const;
		return this.#serving({lock: {descriptor: 0, file}, listener: 1, bound});
	}

	#serving(served: Served): Phase {
		const successor = this.#successor;
		if (successor === undefined) return this.#stopping(served);
		const {lock, listener} = served;
		return this.#phase(
			'hand over',
			served,
			true,
			function* (this: Generation): Body<Phase | undefined> {
				yield* ask('fork', successor, lock.descriptor);
				for (;;) {
					let message: unknown;
					try {
						message = yield* ask('receive', successor, true);
					} catch {
						// The successor has not answered in time.
					}
					if (message === 'serving') return this.#leaving(served, successor);
					if (message !== 'ready') break;
					yield* ask('sendSocket', successor, listener);
					if (this.#parts.leavesEarly) return this.#leaving(served, successor);
				}
				yield* ask('killChild', successor);
				yield* ask('awaitExit', successor);
				return this.#stopping(served);
			}.bind(this),
		);
	}

	#leaving(served: Served, successor: number): Phase {
		return this.#phase(
			'leave',
			served,
			false,
			function* (this: Generation): Body<Phase | undefined> {
				yield* this.#parts.leave(served);
				yield* ask('send', successor, 'yours');
				if (!this.#parts.servesAgain) return undefined;
				yield* ask('receive', successor, false);
				return this.#stopping(served);
			}.bind(this),
		);
	}

	/** A process that is not forked yet. */
	born(): Phase {
		return this.#phase(
			'start',
			'',
			false,
			function* (this: Generation): Body<Phase | undefined> {
				return this.#inheriting(yield* ask('awaitBirth'));
			}.bind(this),
		);
	}

	#inheriting(descriptor: number): Phase {
		const predecessor = this.#predecessor;
		return this.#phase(
			'inherit',
			descriptor,
			false,
			function* (this: Generation): Body<Phase | undefined> {
				yield* ask('send', predecessor, 'ready');
				const message = yield* ask('receive', predecessor, false);
				let lock: HeldLock;
				let bound: FileStatus | undefined;
				try {
					lock = yield* adoptLock(address, descriptor);
					if (typeof message === 'object') bound = yield* call('lstat', path);
				} catch (error) {
					if (codeOf(error) === 'UNKNOWN') throw error;
					if (typeof message !== 'object') return this.#taking();
					yield* ask('exit', predecessor);
					return undefined;
				}
				if (typeof message !== 'object') {
					if (!this.#parts.keepsLock) yield* close(descriptor);
					return this.#taking();
				}
				if (bound === undefined || !isSameFile(bound, {dev: 1, ino: message.ino})) {
					yield* ask('exit', predecessor);
					return undefined;
				}
				yield* ask('send', predecessor, 'serving');
				const served = {lock, listener: message.socket, bound};
				if (!this.#parts.acceptsEarly) yield* ask('receive', predecessor, false);
				return this.#alone(served);
			}.bind(this),
		);
	}

	/** The predecessor has died: this process takes the address as after any crash. */
	#taking(): Phase {
		return own({}, `after generation ${this.#pid}`).start;
	}

	#alone(served: Served): Phase {
		return this.#phase(
			'accept',
			served,
			true,
			function* (this: Generation): Body<Phase | undefined> {
				yield* writeRecord(served.lock, record);
				return this.#serving(served);
			}.bind(this),
		);
	}

	#stopping(served: Served): Phase {
		return this.#phase(
			'stop',
			served,
			true,
			function* (this: Generation): Body<Phase | undefined> {
				yield* closeSocket(address, {descriptor: served.listener}, served.bound);
				return this.#releasing(served.lock);
			}.bind(this),
		);
	}

	#releasing(lock: HeldLock): Phase {
		return this.#phase('release', lock, false, function* (): Body<Phase | undefined> {
			yield* releaseLock(lockPath, lock, false);
			return undefined;
		});
	}
}
