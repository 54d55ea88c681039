/**
 * The lock as its owner sees it.
 */

import type {Address} from './address.js';
import type {BindLockError} from './errors.js';

/** An address that this process has, until it releases it or ends, however it ends. */
export interface BindLock extends AsyncDisposable {
	/** As it was given. */
	readonly address: string;
	/** The lock file, `<path>.lock`; `undefined` for an abstract address. */
	readonly lockPath: string | undefined;
	/** Whether the lock is still ours. */
	readonly held: boolean;
	/** Whether a stale socket was removed on taking it. */
	readonly reclaimed: boolean;
	/**
	 * Aborts when the lock or the address is lost, with a {@link BindLockError} as its reason whose
	 * `code` tells which: `'ERR_LOCK_LOST'`, `'ERR_ADDRESS_LOST'`, `'ERR_LEASE_COMPROMISED'`. A
	 * release does not abort it.
	 */
	readonly signal: AbortSignal;
	/**
	 * Gives the address back. With a lock of {@link listen} the server first stops listening (its
	 * open connections go on). Idempotent; never rejects.
	 */
	release(): Promise<void>;
}

/** The lock in this process. */
export class OwnLock implements BindLock {
	readonly address: string;
	readonly lockPath: string | undefined;
	readonly reclaimed: boolean;
	readonly #giveBack: () => void;
	readonly #loss: Loss;
	#released = false;

	/** @param giveBack is called once */
	constructor(address: Address, reclaimed: boolean, loss: Loss, giveBack: () => void) {
		this.address = address.given;
		this.lockPath = address.kind === 'pathname' ? address.lockPath : undefined;
		this.reclaimed = reclaimed;
		this.#loss = loss;
		this.#giveBack = giveBack;
	}

	get held(): boolean {
		return !this.#released && !this.#loss.happened;
	}

	get signal(): AbortSignal {
		return this.#loss.signal;
	}

	async release(): Promise<void> {
		if (this.#released) return;
		this.#released = true;
		this.#giveBack();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.release();
	}
}

/** Whether a lock or its address was lost, and why. */
export class Loss {
	#controller: AbortController | undefined;
	#reason: BindLockError | undefined;

	get happened(): boolean {
		return this.#reason !== undefined;
	}

	/** Made when first asked for: it costs a microsecond that most locks need not pay. */
	get signal(): AbortSignal {
		this.#controller ??= new AbortController();
		if (this.#reason !== undefined) this.#controller.abort(this.#reason);
		return this.#controller.signal;
	}

	/** Only the first reason counts. */
	report(reason: BindLockError): void {
		if (this.#reason !== undefined) return;
		this.#reason = reason;
		this.#controller?.abort(reason);
	}
}
