/**
 * The algorithm for addresses that have a file. It does no I/O; every line with a
 * `call` is one step of the kernel, in the order that keeps it correct.
 */
import type {PathnameAddress} from '../model/address.js';
import {BindLockError, codeOf} from '../model/errors.js';
import type {Protocol} from '../model/system.js';
import {
	abandon,
	type Claim,
	type HeldLock,
	isIntact,
	lockOpened,
	openLockFile,
	readRecord,
	writeRecord,
} from './lock-file.js';
import {cannotFlock, granted, maxReplacements, neverLocks, unstable} from './refusals.js';
import {reclaim} from './stale.js';
import {Waiting} from './wait.js';

export interface Taken {
	readonly lock: HeldLock;
	/** The lock file was not there before. */
	readonly created: boolean;
	/** A stale socket was removed. */
	readonly reclaimed: boolean;
}

/**
 * Takes the address: afterwards nothing is at the path, and nobody who cooperates will bind there.
 * What cannot be taken is left as it was: a lock file made here goes too.
 *
 * @returns the refusal, too, of an address that somebody has: that is an answer like the others, and V8 compiles
 * no function that always throws. To be thrown once, by {@link granted}
 */
export function take(address: PathnameAddress, claim: Claim): Protocol<Taken | BindLockError> {
	return takeLock(address, claim, true);
}

/**
 * Locks the file that is at the lock path now, because the one that we have locked is there no more. That one
 * is still to be closed. The socket is not touched: it is ours.
 */
export function* retake(address: PathnameAddress, claim: Claim): Protocol<HeldLock> {
	return granted(yield* takeLock(address, claim, false)).lock;
}

function* takeLock(address: PathnameAddress, claim: Claim, reclaims: boolean): Protocol<Taken | BindLockError> {
	const waiting = new Waiting(claim.patience);
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		const {descriptor, created} = yield* openLockFile(address, claim);
		let remove = false;
		let kept = false;
		try {
			const file = yield* lockOpened(address, descriptor, waiting);
			if (file === undefined) continue;
			if (file instanceof BindLockError) return file;
			// From here on we have the lock, and whoever waits for this inode looks whether it is still there.
			remove = created;
			const lock = {descriptor, file};
			const holding = {
				crashed: file.size > 0 || waiting.begun,
				record: () => readRecord(address, descriptor, file),
				isHeld: () => isIntact(address, lock),
			};
			const reclaimed = reclaims && (yield* reclaim(address, claim, holding));
			yield* writeRecord(lock, claim.record(descriptor));
			kept = true;
			return {lock, created, reclaimed};
		} catch (error) {
			// The lock file was replaced while it was asked whether the socket is dead, as it can be before the lock.
			if (codeOf(error) === 'ERR_LOCK_LOST') continue;
			if ((error as NodeJS.ErrnoException | undefined)?.syscall !== 'flock') throw error;
			if (created && neverLocks(error)) remove = true;
			throw cannotFlock(address, error);
		} finally {
			if (!kept) yield* abandon(address, descriptor, remove);
		}
	}
	throw unstable(address);
}
