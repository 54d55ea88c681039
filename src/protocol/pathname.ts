/**
 * The protocol for addresses with a file. Each `call` is one step of the kernel; their order makes it correct.
 */
import type {PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {codeOf} from '../model/errors.js';
import {abandonLockFile, type HeldLock, isAtLockPath, writeRecord} from './held-lock.js';
import {Waiting} from './holder-wait.js';
import {refuseIfBound} from './liveness.js';
import {type Claim, lockDescriptor, openLockFile, readRecord} from './lock-file.js';
import {cannotFlock, isFlockUnsupported, lockFileUnstable, maxReplacements} from './refusals.js';
import {constant, type LockInHand, reclaim} from './stale.js';

/** A lock that was taken, and what that changed. */
export interface TakenLock extends HeldLock {
	/** Whether the lock file was created. */
	readonly created: boolean;
	/** Whether a stale socket was removed. */
	readonly reclaimed: boolean;
}

/**
 * Takes the lock of an address and removes a stale socket. Afterwards nothing is at the path, and no server that takes
 * the lock binds there. After a failure everything is as before: a lock file that was created is removed.
 *
 * @throws BindLockError `EADDRINUSE` if another process holds the lock or is bound, and others
 */
export function takePathname(address: PathnameAddress, claim: Claim): Protocol<TakenLock> {
	return takeLock(address, claim, lock => reclaim(address, claim, lock));
}

/** Takes the lock of an address on whose socket, bound by another process, this process listens. The socket stays. */
export function takeBoundPathname(address: PathnameAddress, claim: Claim): Protocol<TakenLock> {
	return takeLock(address, claim, function* (lock) {
		const found = yield* call('lstat', address.path);
		if (found === undefined) return false;
		// The own socket does not count.
		yield* refuseIfBound(address, () => call('bound', address.path, found, 'named'), {crashed: lock.crashed});
		return false;
	});
}

/**
 * Takes the lock again after its file was removed or replaced. The caller closes the old descriptor. The socket is that
 * of this process, and is not touched.
 */
export function retakePathname(address: PathnameAddress, claim: Claim): Protocol<HeldLock> {
	return takeLock(address, claim, () => constant(false));
}

/** @param prepare makes the path ready under the lock, and returns whether a stale socket was removed */
function* takeLock(
	address: PathnameAddress,
	claim: Claim,
	prepare: (lock: LockInHand) => Protocol<boolean>,
): Protocol<TakenLock> {
	const waiting = new Waiting(claim.patience);
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		const {descriptor, created} = yield* openLockFile(address, claim);
		let removes = false;
		let kept = false;
		try {
			const file = yield* lockDescriptor(address, descriptor, waiting);
			if (file === undefined) continue;
			// Locked. A process that waits for this inode checks afterwards whether the path still leads to it.
			removes = created;
			const lock = {descriptor, file};
			const inHand = {
				crashed: file.size > 0 || waiting.begun,
				record: () => readRecord(address, descriptor, file),
				isHeld: () => isAtLockPath(address.lockPath, lock),
			};
			const reclaimed = yield* prepare(inHand);
			yield* writeRecord(lock, claim.record(descriptor));
			kept = true;
			return {descriptor, file, created, reclaimed};
		} catch (error) {
			// The lock file was replaced during the probe of the socket.
			if (codeOf(error) === 'ERR_LOCK_LOST') continue;
			if ((error as NodeJS.ErrnoException | undefined)?.syscall !== 'flock') throw error;
			if (created && isFlockUnsupported(error)) removes = true;
			throw cannotFlock(address, error);
		} finally {
			if (!kept) yield* abandonLockFile(address, descriptor, removes);
		}
	}
	throw lockFileUnstable(address);
}
