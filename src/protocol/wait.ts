/**
 * Waiting for a holder: how long, whom to tell, and whether to ask it to go.
 */
import {BindLockError, type BindLockErrorCode, codeOf} from '../model/errors.js';
import {describeHolder, type Holder} from '../model/holder.js';
import type {Protocol} from '../model/system.js';

/** What the options say about a holder that is in the way. */
export interface Patience {
	/** Of `performance.now()`. */
	readonly began: number;
	/** 0: refused at once. */
	readonly waitMs: number;
	readonly onWait: ((holder: Holder | undefined) => void) | undefined;
	readonly replace: Replace | undefined;
}

/** A holder that is in the way is in the way. */
export const noPatience: Patience = {began: 0, waitMs: 0, onWait: undefined, replace: undefined};

export interface Replace {
	readonly killSignal: NodeJS.Signals;
	readonly escalate: boolean;
}

/** What is different for the two kinds of lock. */
export interface Queue {
	readonly address: string;
	/** Waits until it is worth trying again; `false`: the deadline is past. */
	readonly wait: (deadline: number) => Protocol<boolean>;
	/** `false`: it has not the lock any more. */
	readonly signal: (holder: Holder, signal: NodeJS.Signals) => Protocol<boolean>;
}

/** A large process takes a while to die of SIGKILL, but it does. */
const dyingMs = 5000;

/** The state of one wait. */
export class Waiting {
	readonly #patience: Patience;
	#deadline: number;
	#begun = false;
	#asked: Holder | undefined;
	#escalated = false;

	constructor(patience: Patience) {
		this.#patience = patience;
		this.#deadline = patience.began + patience.waitMs;
	}

	/** Whether there has been a holder that was waited for. */
	get begun(): boolean {
		return this.#begun;
	}

	/** How long, for the message; `undefined` if waiting was not asked for. */
	get waitedMs(): number | undefined {
		return this.#patience.waitMs > 0 ? Math.round(performance.now() - this.#patience.began) : undefined;
	}

	/** Waits for the holder to go. `false`: it is still there and the time is up. */
	*for(holder: Holder | undefined, queue: Queue): Protocol<boolean> {
		const {replace, onWait} = this.#patience;
		if (this.#patience.waitMs <= 0 && replace === undefined) return false;
		if (!this.#begun) {
			this.#begun = true;
			// Only the holder that was there when we came: its successors have the same right as we.
			if (replace !== undefined) yield* this.#askToGo(holder, replace.killSignal, queue);
			onWait?.(holder);
		}
		if (yield* queue.wait(this.#deadline)) return true;
		if (!replace?.escalate || this.#escalated || this.#asked === undefined) return false;
		this.#escalated = true;
		this.#deadline = performance.now() + Math.max(this.#patience.waitMs, dyingMs);
		if (!(yield* sendSignal(this.#asked, 'SIGKILL', queue))) return false;
		return yield* queue.wait(this.#deadline);
	}

	*#askToGo(holder: Holder | undefined, signal: NodeJS.Signals, queue: Queue): Protocol<void> {
		if (!holder?.verified) {
			const who = holder === undefined ? 'the holder cannot be seen from here' : describeHolder(holder);
			throw cannotReplace(
				queue.address,
				'ERR_HOLDER_UNVERIFIED',
				`a signal goes only to a process that the kernel says is the holder: ${who}`,
				holder,
			);
		}
		if (holder.pid === process.pid) {
			throw cannotReplace(
				queue.address,
				'ERR_HOLDER_SELF',
				'this very process is the holder; release the lock instead',
				holder,
			);
		}
		if (yield* sendSignal(holder, signal, queue)) this.#asked = holder;
	}
}

function* sendSignal(holder: Holder, signal: NodeJS.Signals, queue: Queue): Protocol<boolean> {
	try {
		return yield* queue.signal(holder, signal);
	} catch (error) {
		if (codeOf(error) !== 'EPERM') throw error;
		const why = `${describeHolder(holder)} may not be signalled by this user`;
		throw cannotReplace(queue.address, 'EPERM', why, holder, error);
	}
}

export function cannotReplace(
	address: string,
	code: BindLockErrorCode,
	why: string,
	holder?: Holder,
	cause?: unknown,
): BindLockError {
	return new BindLockError(`Cannot replace the holder: ${why}`, {code, address, syscall: 'kill', holder, cause});
}
