/**
 * The lock of a pathname address: a flock on `<path>.lock`.
 */

import {loadFlock} from '../kernel/flock/choice.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {PathnameAddress} from '../model/address.js';
import {type Protocol, run, runSync} from '../model/driver.js';
import {isSameFile} from '../model/file-identity.js';
import type {AcquireOptions} from '../model/options.js';
import {
	adoptLock,
	close,
	type HeldLock,
	leaveLock,
	releaseLock,
	removeLockFile,
	replaceRecord,
} from '../protocol/held-lock.js';
import {retakePathname, type TakenLock, takeBoundPathname, takePathname} from '../protocol/pathname.js';
import type {AddressLock, Heir, LockFile, ShareableLock} from './address-lock.js';
import {claimOf, recordOf, retakePatience} from './claim.js';

/**
 * Takes the lock.
 *
 * @param isBound whether this process listens on a socket of the address that another process has bound
 * @throws BindLockError `EADDRINUSE` if another process holds it or is bound, and others
 */
export function* takeFlockLock(
	address: PathnameAddress,
	options: AcquireOptions,
	isBound: boolean,
): Protocol<AddressLock> {
	loadFlock(address.given);
	const take = isBound ? takeBoundPathname : takePathname;
	return new FlockLock(address, options, yield* take(address, claimOf(options)));
}

/**
 * Adopts the lock that this process inherited and its predecessor is about to leave.
 *
 * @throws BindLockError `ERR_LOCK_LOST` if the descriptor is not, or no longer, the lock of the address
 */
export function inheritFlockLock(address: PathnameAddress, options: AcquireOptions, descriptor: number): AddressLock {
	loadFlock(address.given);
	const lock = runSync(adoptLock(address, descriptor), new NodeSystem(address.given));
	return new FlockLock(address, options, {...lock, created: false, reclaimed: false});
}

class FlockLock implements AddressLock, LockFile, ShareableLock {
	readonly path: string;
	readonly reclaimed: boolean;
	readonly socket = undefined;
	readonly #address: PathnameAddress;
	readonly #options: AcquireOptions;
	/** Not the system that took the lock: that one stops when the caller's signal aborts. */
	readonly #system: NodeSystem;
	readonly #created: boolean;
	#lock: HeldLock;
	/** Another process has the lock, and the descriptor of this one is closed. */
	#isLeft = false;
	#relocking: AbortController | undefined;

	constructor(address: PathnameAddress, options: AcquireOptions, lock: TakenLock) {
		this.path = address.lockPath;
		this.reclaimed = lock.reclaimed;
		this.#address = address;
		this.#options = options;
		this.#system = new NodeSystem(address.given);
		this.#created = lock.created;
		this.#lock = lock;
	}

	get file(): LockFile {
		return this;
	}

	get shareable(): ShareableLock {
		return this;
	}

	get descriptor(): number {
		return this.#lock.descriptor;
	}

	release(unused = false): void {
		this.#relocking?.abort();
		if (!this.#isLeft) this.#release(this.#lock, unused && this.#created);
	}

	#release(lock: HeldLock, remove: boolean): void {
		const {removeLockFile = false} = this.#options;
		runSync(releaseLock(this.path, lock, remove || removeLockFile), this.#system);
	}

	leave(heir?: Heir): void {
		this.#relocking?.abort();
		const record = heir && recordOf(this.#options, heir);
		runSync(leaveLock(this.#lock, record), this.#system);
		this.#isLeft = true;
	}

	/** The kernel releases the flock with the process. */
	exit(): void {
		if (this.#options.removeLockFile) runSync(removeLockFile(this.path, this.#lock), this.#system);
	}

	announce(heir: Heir = {pid: process.pid, fd: this.descriptor}): void {
		runSync(replaceRecord(this.#lock, recordOf(this.#options, heir)), this.#system);
	}

	isInPlace(): boolean {
		return isSameFile(this.#system.lstat(this.path), this.#lock.file);
	}

	async relock(): Promise<void> {
		const claim = {...claimOf(this.#options), patience: retakePatience()};
		this.#relocking = new AbortController();
		const {signal} = this.#relocking;
		const lock = await run(retakePathname(this.#address, claim), new NodeSystem(this.#address.given, signal));
		// Released meanwhile: the old descriptor is closed, and its number may be reused.
		if (signal.aborted) this.#release(lock, false);
		signal.throwIfAborted();
		const lost = this.#lock;
		this.#lock = lock;
		if (!this.#isLeft) runSync(close(lost.descriptor), this.#system);
		this.#isLeft = false;
	}
}
