/**
 * Reclaiming: removing a stale socket file, under the lock of its address.
 */

import type {PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {BindLockError, codeOf} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import type {LockRecord} from '../model/record.js';
import type {FileStatus} from '../model/system.js';
import {printable} from '../model/text.js';
import {close} from './held-lock.js';
import {cannotProbe, isDead, refuseIfBound} from './liveness.js';
import type {Remover} from './lock-file.js';
import {explainForbidden, maxReplacements} from './refusals.js';

/** What reclaiming needs to know about the lock. */
export interface LockInHand {
	/** Whether the previous holder crashed, or exited a moment ago. */
	readonly crashed: boolean;
	/** Reads the record that the previous holder left in the lock file. */
	record(): Protocol<LockRecord | undefined>;
	/** Whether this process still holds the lock. A cleaner may have removed its file, or this process released it. */
	isHeld(): Protocol<boolean>;
}

/** A lock of which only `isHeld` is known. */
export function lockInHand(isHeld: () => boolean): LockInHand {
	return {crashed: false, record: () => constant(undefined), isHeld: () => constant(isHeld())};
}

/** A protocol without calls. */
// biome-ignore lint/correctness/useYield: it makes no calls
export function* constant<Result>(result: Result): Protocol<Result> {
	return result;
}

/**
 * Removes a socket file that no process is bound to.
 *
 * @returns whether a file was removed
 * @throws BindLockError `EADDRINUSE` if a process is bound to it, and others if that is unknown or the file may not be
 * removed
 */
export function* reclaim(address: PathnameAddress, remover: Remover, lock: LockInHand): Protocol<boolean> {
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		const found = yield* call('lstat', address.path);
		if (found === undefined) return false;
		refuseUnlessSocket(address, found);
		if (!mayRemove(found, remover)) {
			// Reports EADDRINUSE before EPERM: a live foreign server matters more than its owner.
			yield* refuseIfBound(address, () => call('bound', address.path, found, 'named'));
			throw ownedByOther(address, found, remover.uid, false);
		}
		try {
			if (yield* unlinkIfDead(address, found, lock)) return true;
		} catch (error) {
			throw explainForbidden(address, found, remover.uid, error);
		}
	}
	throw new BindLockError(
		`Cannot use ${printable(address.path)}: a program that does not take the lock keeps replacing it; find out which`,
		{code: 'ERR_ADDRESS_UNSTABLE', address: address.given, syscall: 'unlink'},
	);
}

/** Whether the owner of a socket file permits its removal. In most directories only the owner and root may unlink it. */
export function mayRemove(found: FileStatus, {uid, reclaimForeign}: Remover): boolean {
	return found.uid === uid || uid === 0 || reclaimForeign;
}

/**
 * Refuses a file that is not a socket.
 *
 * @throws BindLockError `ENOTSOCK`
 */
export function refuseUnlessSocket(address: PathnameAddress, {type}: FileStatus): void {
	if (type === 'socket') return;
	const what = {file: 'a regular file', directory: 'a directory', symlink: 'a symbolic link', other: 'not a socket'};
	throw new BindLockError(
		`Cannot bind to ${printable(address.path)}: it is ${what[type]} and is left unchanged; remove it or choose another address`,
		{code: 'ENOTSOCK', address: address.given, syscall: 'bind'},
	);
}

/**
 * The error of a socket of another user, `EPERM`.
 *
 * @param dead whether it is known that no server is bound to it
 * @param cause why it is unknown whether a server is bound to it
 */
export function ownedByOther(
	address: PathnameAddress,
	{uid: owner}: FileStatus,
	uid: number | undefined,
	dead: boolean,
	cause?: BindLockError,
): BindLockError {
	const when = dead ? 'no server is bound to it, and' : 'if no server is bound to it,';
	const remedy = 'that user or root has to remove it, or you with reclaimForeign: true (--reclaim-foreign)';
	return new BindLockError(
		`Cannot reclaim the socket ${printable(address.path)}: it belongs to uid ${owner} and this process is uid ${uid}; ${when} ${remedy}`,
		{code: 'EPERM', address: address.given, syscall: 'unlink', cause},
	);
}

/**
 * Removes the file if no process is bound to it. A dead socket stays dead, because bind() accepts no existing file. So
 * it suffices to show that this inode is dead, and then that this inode is the one that is unlinked.
 *
 * @returns `false` if the path leads to another file now, or to none
 */
function* unlinkIfDead(address: PathnameAddress, found: FileStatus, lock: LockInHand): Protocol<boolean> {
	return yield* whilePinned(address, found, function* (pinned) {
		yield* waitForBind(address.path);
		if (!(yield* isDead(address, found, pinned, {removable: true, crashed: lock.crashed, removes: true}))) {
			return false;
		}
		yield* refuseUnprovable(address, yield* lock.record());
		// The probe takes time. Meanwhile the lock may have been lost or released, and another holder may have bound.
		if (!(yield* lock.isHeld())) throw lockLost(address);
		// A server that takes no lock may have unlinked the file and bound a new one. The pin prevents reuse of the inode
		// number. A TOCTOU window remains between this lstat and the unlink: Linux has no unlink-if-inode.
		if (!isSameFile(yield* call('lstat', address.path), found)) return false;
		return yield* call('unlink', address.path);
	});
}

function lockLost(address: PathnameAddress): BindLockError {
	return new BindLockError(
		`Cannot reclaim the socket ${printable(address.path)}: the lock was lost meanwhile, because ${printable(address.lockPath)} was removed or replaced; find out what removes it`,
		{code: 'ERR_LOCK_LOST', address: address.given, path: address.lockPath},
	);
}

/**
 * Refuses a socket file for which a refused connection does not prove that its server is dead, and one that cannot be
 * removed.
 *
 * @param record of the previous holder: the file is its own, if that process has exited
 * @throws BindLockError `ERR_LIVENESS_UNKNOWN`, `EBUSY`
 */
export function* refuseUnprovable(address: PathnameAddress, record: LockRecord | undefined): Protocol<void> {
	const holderHasEnded = record !== undefined && (yield* call('hasEnded', record));
	const {isMountPoint, otherView} = yield* call('placeOf', address.path, holderHasEnded);
	if (isMountPoint) {
		throw new BindLockError(
			`Cannot reclaim the socket ${printable(address.path)}: the file is a mount point; mount its directory instead of the file`,
			{code: 'EBUSY', address: address.given, syscall: 'unlink'},
		);
	}
	if (otherView === undefined) return;
	throw new BindLockError(
		`Cannot tell whether a server is bound to ${printable(address.path)}: ${otherView}; start the server where it runs, or remove the file yourself when no server uses it`,
		{code: 'ERR_LIVENESS_UNKNOWN', address: address.given, syscall: 'connect'},
	);
}

/**
 * Waits until a bind() that is in progress has finished. bind() creates the file before it enters the socket into the
 * kernel's tables, and holds the directory's lock during both (`unix_bind_bsd` in net/unix/af_unix.c). A link() to an
 * existing name fails, but acquires the same lock first.
 */
function* waitForBind(path: string): Protocol<void> {
	try {
		yield* call('link', path, path);
	} catch {}
}

/**
 * Runs `body` while the socket file's inode is pinned, so that it is not freed and its number not reused.
 *
 * @returns `false` if the path leads to another file or to none
 */
export function* whilePinned(
	address: PathnameAddress,
	found: FileStatus,
	body: (pinned: number | undefined) => Protocol<boolean>,
): Protocol<boolean> {
	let pinned: number | undefined;
	try {
		pinned = yield* call('pin', address.path);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return false;
		throw cannotProbe(address, error as Error);
	}
	if (pinned === undefined) return yield* body(undefined);
	try {
		return isSameFile(yield* call('fstat', pinned), found) && (yield* body(pinned));
	} finally {
		yield* close(pinned);
	}
}
