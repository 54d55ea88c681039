/**
 * The lock as its owner sees it.
 */

import {type Address, keyOf} from '../model/address.js';
import type {BindLockError} from '../model/errors.js';
import type {Loss} from './loss.js';

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
	/** How often the lock file or the socket file was removed by somebody and made again by us. Only locks of {@link listen} heal. */
	readonly healed: number;
	/**
	 * Aborts when the lock or the address is lost, with a {@link BindLockError} as its reason whose
	 * `code` tells which: `'ERR_LOCK_LOST'`, `'ERR_ADDRESS_LOST'`, `'ERR_LEASE_COMPROMISED'`. A
	 * release does not abort it.
	 */
	readonly lostSignal: AbortSignal;
	/**
	 * Gives the address back. With a lock of {@link listen} the server first stops listening (its
	 * open connections go on). Idempotent; never rejects.
	 */
	release(): Promise<void>;
}

/** What becomes of what was taken. */
interface Given {
	/** Is called once. */
	giveBack(): void;
	/** Is called instead when this process ends and the server is not ours to close. */
	leaveAtExit?(): void;
}

/** The lock in this process. */
export class OwnLock implements BindLock {
	/** See {@link keyOf}. */
	readonly key: string;
	readonly address: string;
	readonly lockPath: string | undefined;
	readonly reclaimed: boolean;
	/** Whether its server is bound by us, or by `register`. */
	readonly serves: boolean;
	healed = 0;
	readonly #taken: Given;
	readonly #loss: Loss;
	#released = false;

	/** @param serves see {@link OwnLock.serves} */
	constructor(address: Address, reclaimed: boolean, loss: Loss, taken: Given, serves: boolean) {
		this.key = keyOf(address);
		this.serves = serves;
		this.address = address.given;
		this.lockPath = address.kind === 'pathname' ? address.lockPath : undefined;
		this.reclaimed = reclaimed;
		this.#loss = loss;
		this.#taken = taken;
		releaseOnExit(this);
	}

	get held(): boolean {
		return !this.#released && !this.#loss.happened;
	}

	get lostSignal(): AbortSignal {
		return this.#loss.signal;
	}

	async release(): Promise<void> {
		this.releaseNow();
	}

	releaseNow(): void {
		if (this.#released) return;
		this.#released = true;
		locks.delete(this);
		this.#loss.stopWatching();
		this.#taken.giveBack();
	}

	/** Any listener of `'exit'` may come after this. */
	end(): void {
		if (this.serves || this.#taken.leaveAtExit === undefined) this.releaseNow();
		else this.#taken.leaveAtExit();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.release();
	}
}

/** All locks of this process (in a worker: of the thread) that are not released, whichever copy of bindlock took them. */
const locks: Set<OwnLock> = sharedLocks();

function sharedLocks(): Set<OwnLock> {
	const shared = globalThis as {[name: symbol]: Set<OwnLock> | undefined};
	const name = Symbol.for('bindlock.locks');
	shared[name] ??= new Set();
	return shared[name];
}

/** Whether this process has acquired the address, for a server that it will bind by itself. */
export function isAcquiredHere(address: Address): boolean {
	for (const lock of locks) if (!lock.serves && lock.key === keyOf(address)) return true;
	return false;
}
let leaving = false;

/**
 * A normal exit tidies up after `listen`: the socket file, if it is still ours, and the record. The server
 * of `acquire` is bound until the very end: until then nobody else must get the lock, or one that has waited for
 * it would find the server and be refused. After a signal without a handler nothing is done, and nothing needs to
 * be. No signal handler is installed.
 */
function releaseOnExit(lock: OwnLock): void {
	locks.add(lock);
	if (leaving) return;
	leaving = true;
	process.on('exit', () => {
		for (const held of locks) held.end();
	});
}
