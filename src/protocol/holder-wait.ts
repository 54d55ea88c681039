/**
 * Waiting for a holder: the time limit, the `onWait` callback, and `replace`.
 */
import {backoffMs} from '../model/backoff.js';
import {call, type Protocol} from '../model/driver.js';
import {BindLockError, type BindLockErrorCode, codeOf} from '../model/errors.js';
import {describeHolder, type Holder} from '../model/holder.js';

/** What the options say about waiting for a holder. */
export interface Patience {
	/** When the call began, in milliseconds of `performance.now()`. */
	readonly began: number;
	/** The time limit in milliseconds; 0: refused at once. */
	readonly waitMs: number;
	readonly onWait: ((holder: Holder | undefined) => void) | undefined;
	readonly replace: Replacement | undefined;
}

/** Refuses a held address at once. */
export const noPatience: Patience = {began: 0, waitMs: 0, onWait: undefined, replace: undefined};

/** How a holder is replaced. */
interface Replacement {
	readonly killSignal: NodeJS.Signals;
	/** Whether `SIGKILL` follows when the time limit is over. */
	readonly escalate: boolean;
}

/** The calls that differ between the two kinds of lock. */
export interface Contended {
	/** The address as it was given. */
	readonly address: string;
	/** Waits until another attempt is worthwhile. Returns `false` when the deadline is over. */
	readonly wait: (deadline: number) => Protocol<boolean>;
	/** Signals the holder. Returns `false` if it no longer holds the lock. */
	readonly signal: (holder: Holder, signal: NodeJS.Signals) => Protocol<boolean>;
}

/** How long `SIGKILL` may take to end a large process. */
const killMs = 5000;

/** The state of one wait. */
export class Waiting {
	readonly #patience: Patience;
	#deadline: number;
	#begun = false;
	#signalled: Holder | undefined;
	#escalated = false;

	constructor(patience: Patience) {
		this.#patience = patience;
		this.#deadline = patience.began + patience.waitMs;
	}

	/** Whether a holder was waited for. */
	get begun(): boolean {
		return this.#begun;
	}

	/** The time waited so far in milliseconds, for error messages; `undefined` without `waitMs`. */
	get waitedMs(): number | undefined {
		return this.#patience.waitMs > 0 ? Math.round(performance.now() - this.#patience.began) : undefined;
	}

	/**
	 * Waits for the holder to release the lock.
	 *
	 * @returns `false` when the time limit is over
	 * @throws BindLockError if `replace` may not signal the holder
	 */
	*for(holder: Holder | undefined, contended: Contended): Protocol<boolean> {
		const {replace, onWait} = this.#patience;
		if (this.#patience.waitMs <= 0 && replace === undefined) return false;
		if (!this.#begun) {
			this.#begun = true;
			// Only the holder found first is signalled. A later one has waited, and has the same right as this process.
			if (replace !== undefined) yield* this.#kill(holder, replace.killSignal, contended);
			onWait?.(holder);
		}
		if (yield* contended.wait(this.#deadline)) return true;
		if (!replace?.escalate || this.#escalated || this.#signalled === undefined) return false;
		this.#escalated = true;
		this.#deadline = performance.now() + Math.max(this.#patience.waitMs, killMs);
		if (!(yield* sendSignal(this.#signalled, 'SIGKILL', contended))) return false;
		return yield* contended.wait(this.#deadline);
	}

	*#kill(holder: Holder | undefined, signal: NodeJS.Signals, contended: Contended): Protocol<void> {
		if (!holder?.verified) {
			const who = holder === undefined ? 'the holder is not visible to this process' : describeHolder(holder);
			throw cannotReplace(
				contended.address,
				'ERR_HOLDER_UNVERIFIED',
				`only a holder that the kernel confirms is signalled: ${who}`,
				holder,
			);
		}
		if (holder.pid === process.pid) {
			throw cannotReplace(
				contended.address,
				'ERR_HOLDER_SELF',
				'this process itself is the holder; release the lock instead',
				holder,
			);
		}
		if (yield* sendSignal(holder, signal, contended)) this.#signalled = holder;
	}
}

function* sendSignal(holder: Holder, signal: NodeJS.Signals, contended: Contended): Protocol<boolean> {
	try {
		return yield* contended.signal(holder, signal);
	} catch (error) {
		if (codeOf(error) !== 'EPERM') throw error;
		const why = `this user may not signal ${describeHolder(holder)}`;
		throw cannotReplace(contended.address, 'EPERM', why, holder, error);
	}
}

/** The error of a `replace` that is refused. */
export function cannotReplace(
	address: string,
	code: BindLockErrorCode,
	why: string,
	holder?: Holder,
	cause?: unknown,
): BindLockError {
	return new BindLockError(`Cannot replace the holder: ${why}`, {code, address, syscall: 'kill', holder, cause});
}

/** Pauses of 1, 2, 4, … ms for a condition that is expected to pass. */
export class Backoff {
	#pauses = 0;

	/**
	 * Pauses.
	 *
	 * @returns `false`, without a pause, once the pauses add up to the limit
	 */
	*within(limitMs: number): Protocol<boolean> {
		// The pauses so far add up to 2^n - 1 ms.
		if (2 ** this.#pauses > limitMs) return false;
		yield* call('pause', backoffMs(++this.#pauses, 1));
		return true;
	}
}
