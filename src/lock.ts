/**
 * The lock as its owner sees it.
 */

import type {Address} from './address.js';

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
	 * Gives the address back. With a lock of {@link listen} the server first stops listening (its
	 * open connections go on). Idempotent; never rejects.
	 */
	release(): Promise<void>;
}

/** The lock in this process: a promise to call `giveBack` once. */
export class OwnLock implements BindLock {
	readonly address: string;
	readonly lockPath: string | undefined;
	readonly reclaimed: boolean;
	readonly #giveBack: () => void;
	#held = true;

	constructor(address: Address, reclaimed: boolean, giveBack: () => void) {
		this.address = address.given;
		this.lockPath = address.kind === 'pathname' ? address.lockPath : undefined;
		this.reclaimed = reclaimed;
		this.#giveBack = giveBack;
	}

	get held(): boolean {
		return this.#held;
	}

	async release(): Promise<void> {
		if (!this.#held) return;
		this.#held = false;
		this.#giveBack();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.release();
	}
}
