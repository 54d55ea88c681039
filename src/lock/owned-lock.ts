/**
 * The lock as its owner sees it.
 */
import {type Address, keyOf} from '../model/address.js';
import type {BindLockError} from '../model/errors.js';
import type {Loss} from './loss.js';

/** An address that this process holds until it releases it or exits, however it exits. */
export interface BindLock extends AsyncDisposable {
	/** The address as it was given. */
	readonly address: string;
	/** The lock file, `<path>.lock`; `undefined` for an abstract address. */
	readonly lockPath: string | undefined;
	/** Whether this process still holds the lock. */
	readonly held: boolean;
	/** Whether a stale socket was removed when the lock was taken. */
	readonly reclaimed: boolean;
	/** How often the lock file or the socket file was removed by another program and created again. Only locks of {@link listen} heal. */
	readonly healed: number;
	/**
	 * Aborts when the lock or the address is lost. The reason is a {@link BindLockError} with the code
	 * `'ERR_LOCK_LOST'`, `'ERR_ADDRESS_LOST'` or `'ERR_LEASE_COMPROMISED'`. A release does not abort it.
	 */
	readonly lostSignal: AbortSignal;
	/**
	 * Releases the address. A server of {@link listen} first stops listening; its open connections continue. Idempotent;
	 * never rejects.
	 */
	release(): Promise<void>;
}

/** What a release does. */
export interface Owner {
	/** Is called once, by {@link OwnedLock.release}. */
	release(): void;
	/** Is called instead when this process exits. */
	exit(): void;
}

/** The lock in this process. */
export class OwnedLock implements BindLock {
	/** See {@link keyOf}. */
	readonly key: string;
	readonly address: string;
	readonly lockPath: string | undefined;
	readonly reclaimed: boolean;
	/** Whether bindlock binds the server, rather than the program. */
	readonly bindsServer: boolean;
	healed = 0;
	readonly #loss: Loss;
	readonly #owner: Owner;
	#released = false;

	/** @param bindsServer see {@link OwnedLock.bindsServer} */
	constructor(address: Address, reclaimed: boolean, loss: Loss, owner: Owner, bindsServer: boolean) {
		this.key = keyOf(address);
		this.address = address.given;
		this.lockPath = address.kind === 'pathname' ? address.lockPath : undefined;
		this.reclaimed = reclaimed;
		this.bindsServer = bindsServer;
		this.#loss = loss;
		this.#owner = owner;
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
		// First: the owner may close a server whose own close() releases the lock.
		this.markReleased();
		this.#owner.release();
	}

	/** Is called by an owner that releases the lock by itself, as when its server was closed. */
	markReleased(): void {
		this.#released = true;
		locks.delete(this);
		this.#loss.stopWatching();
	}

	exit(): void {
		this.#owner.exit();
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.release();
	}
}

/** The locks of this process, or of this worker thread. All copies of bindlock in the process share them. */
const locks: Set<OwnedLock> = sharedLocks();

function sharedLocks(): Set<OwnedLock> {
	const shared = globalThis as {[name: symbol]: Set<OwnedLock> | undefined};
	const name = Symbol.for('bindlock.locks');
	shared[name] ??= new Set();
	return shared[name];
}

/** Whether this process has acquired the address for a server that the program binds itself. */
export function isAcquiredHere(address: Address): boolean {
	return locksHere(address).some(({bindsServer}) => !bindsServer);
}

/** Whether this process has a lock of the address, for whatever server. */
export function isLockedHere(address: Address): boolean {
	return locksHere(address).length > 0;
}

function locksHere(address: Address): OwnedLock[] {
	const key = keyOf(address);
	return [...locks].filter(lock => lock.key === key);
}

let exitHandled = false;

/**
 * Cleans up on a normal exit. After `listen` that removes the socket file and the record. After `acquire` the lock is
 * kept until the process ends, because its server is bound until then: a waiter that got the lock earlier would find
 * the server and be refused. bindlock installs no signal handler; the kernel releases the lock of a killed process.
 */
function releaseOnExit(lock: OwnedLock): void {
	locks.add(lock);
	if (exitHandled) return;
	exitHandled = true;
	process.on('exit', () => {
		for (const held of locks) held.exit();
	});
}
