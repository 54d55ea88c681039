/**
 * The lock file: opened, checked, locked, written and given back. The order of the calls is the
 * protocol; each comment names the race that its step closes.
 */

import type {PathnameAddress} from '../model/address.js';
import {BindLockError, codeOf} from '../model/errors.js';
import {type LockRecord, maxRecordBytes} from '../model/record.js';
import {type Contention, call, type FileStatus, type Protocol} from '../model/system.js';
import {printable} from '../model/text.js';
import {
	cannotOpen,
	isForbidden,
	maxReplacements,
	refuseForeignContent,
	refuseUnlessLockFile,
	taken,
	unstable,
} from './refusals.js';
import type {Patience, Queue, Waiting} from './wait.js';

/** Who removes what is dead. */
export interface Remover {
	/** Effective user id of this process. */
	readonly uid: number;
	/** Whether sockets of other users may be removed, too. */
	readonly reclaimForeign: boolean;
}

/** Who takes, and how. */
export interface Claim extends Remover {
	/** Mode of a lock file that has to be created. */
	readonly lockFileMode: number;
	/** What to say of ourselves; with the descriptor of the lock file, if it is one. */
	readonly record: (descriptor?: number) => string;
	readonly patience: Patience;
}

/** A lock that we have: the descriptor is the lock. */
export interface HeldLock {
	readonly descriptor: number;
	readonly file: FileStatus;
}

/** Readers test a lock for microseconds; a shared lock that outlasts this is refused as one. */
export const readerPatienceMs = 100;

/** Gives the lock back. The socket must be gone, or closed, before. */
export function* giveBackLock(lockPath: string, lock: HeldLock, remove: boolean): Protocol<void> {
	try {
		// An empty lock file says: left in good order. A record without a lock says: crashed.
		if (!remove || !(yield* removeLockFile(lockPath, lock))) yield* call('truncate', lock.descriptor);
	} catch {
		// Tidiness only; what matters is that the lock goes.
	} finally {
		yield* close(lock.descriptor);
	}
}

/**
 * Unlinked while still locked: a waiter who then locks the dead inode notices (see {@link lockOpened}).
 *
 * @returns `false` if another file is there, which is not ours to remove
 */
export function* removeLockFile(lockPath: string, lock: HeldLock): Protocol<boolean> {
	try {
		if (!sameFile(yield* call('lstat', lockPath), lock.file)) return false;
		yield* call('unlink', lockPath);
	} catch {
		// Tidiness only.
	}
	return true;
}

/**
 * Closes our descriptor only: the lock stays with the process that has inherited it.
 *
 * @param record names that process; without, it names itself
 */
export function* leaveLock(lock: HeldLock, record?: string): Protocol<void> {
	// There is one already: our own.
	if (record !== undefined) yield* writeRecord({...lock, file: {...lock.file, size: 1}}, record);
	yield* close(lock.descriptor);
}

/** A lock whose descriptor we have inherited. Its open file description has the flock already, so that taking it only confirms. */
export function* adoptLock(address: PathnameAddress, descriptor: number): Protocol<HeldLock> {
	const file = yield* call('fstat', descriptor);
	if (sameFile(yield* call('lstat', address.lockPath), file) && (yield* call('flock', descriptor))) {
		return {descriptor, file};
	}
	throw new BindLockError(`The lock that was inherited is not the one of ${printable(address.given)} (any more)`, {
		code: 'ERR_LOCK_LOST',
		address: address.given,
		path: address.lockPath,
	});
}

/** Whether what was found is (still) this very file. */
export function sameFile(found: FileStatus | undefined, file: FileStatus): found is FileStatus {
	return found !== undefined && found.ino === file.ino && found.dev === file.dev;
}

/** Whether the file that we have locked is still the one at the lock path. */
export function* isIntact({lockPath}: {readonly lockPath: string}, lock: HeldLock): Protocol<boolean> {
	return sameFile(yield* call('lstat', lockPath), lock.file);
}

/** Closes; Linux has freed the descriptor even where it reports an error (`close(2)`). */
export function* close(descriptor: number): Protocol<void> {
	try {
		yield* call('close', descriptor);
	} catch {}
}

/** Opens without `O_CREAT` first: so we know whether we made it, and `fs.protected_regular` does not mind. */
export function* openLockFile(
	address: PathnameAddress,
	{uid, lockFileMode}: Claim,
): Protocol<{readonly descriptor: number; readonly created: boolean}> {
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		try {
			return {descriptor: yield* call('openLockFile', address.lockPath, false, lockFileMode), created: false};
		} catch (error) {
			if (codeOf(error) !== 'ENOENT') throw yield* explainOpening(address, uid, error);
		}
		try {
			return {descriptor: yield* call('openLockFile', address.lockPath, true, lockFileMode), created: true};
		} catch (error) {
			// Somebody else has made it between the two tries.
			if (codeOf(error) !== 'EEXIST') throw yield* explainOpening(address, uid, error);
		}
	}
	throw unstable(address);
}

/** Why the lock file cannot be opened; if this user may not, then also whose it is. */
function* explainOpening(address: PathnameAddress, uid: number, cause: unknown): Protocol<BindLockError> {
	let found: FileStatus | undefined;
	try {
		if (isForbidden(cause)) found = yield* call('lstat', address.lockPath);
	} catch {
		// What may not be looked at either is explained without.
	}
	return cannotOpen(address, cause, uid, found);
}

/**
 * From the open descriptor to the lock on the file that is at the path.
 *
 * @returns the file; `undefined` if it was replaced; the refusal if somebody has the lock
 */
export function* lockOpened(
	address: PathnameAddress,
	descriptor: number,
	waiting: Waiting,
): Protocol<FileStatus | undefined | BindLockError> {
	const opened = yield* call('fstat', descriptor);
	// Removed since we opened it: a lock on a dead inode keeps nobody out.
	if (opened.nlink === 0) return undefined;
	refuseUnlessLockFile(address, opened);
	const record = opened.size === 0 ? undefined : yield* readRecord(address, descriptor, opened);
	if (!(yield* call('flock', descriptor))) {
		const outcome = yield* contend(address, {descriptor, file: opened}, record, waiting);
		if (outcome !== 'locked') return outcome;
	}
	// The holder may have unlinked it on leaving, as libwayland does, while we waited for the
	// lock: then a newcomer makes a new file, locks that, and both of us hold (R1).
	const locked = yield* call('lstat', address.lockPath);
	if (!sameFile(locked, opened)) return undefined;
	// Written between the first look and the lock: by a holder that has died since, or by a stranger.
	if (locked.size !== opened.size && locked.size > 0) yield* readRecord(address, descriptor, locked);
	return locked;
}

/**
 * Somebody has the lock: waits for that one if there is patience left.
 *
 * @returns besides what {@link lockOpened} does: that we have it now
 */
function* contend(
	address: PathnameAddress,
	{descriptor, file}: HeldLock,
	record: LockRecord | undefined,
	waiting: Waiting,
): Protocol<'locked' | undefined | BindLockError> {
	let waitedMs = 0;
	let pauseMs = 1;
	do {
		// Somebody has the lock of a removed file: that is no reason to refuse anybody.
		if (!sameFile(yield* call('lstat', address.lockPath), file)) return undefined;
		const contention = yield* call('contention', file, address.lockPath, record);
		if (contention.kind !== 'exclusive' && waitedMs < readerPatienceMs) {
			// A reader that tests the lock (`pgrep -L`) looks the same to flock for a moment.
			yield* call('pause', pauseMs);
			waitedMs += pauseMs;
			pauseMs *= 2;
		} else if (!(yield* waiting.for(contention.holder, queueOf(address, {descriptor, file})))) {
			const refused = waiting.begun ? yield* lastLook(address, {descriptor, file}, contention) : contention;
			return taken(address, refused, waiting.waitedMs);
		}
	} while (!(yield* call('flock', descriptor)));
	return 'locked';
}

/** Who is in the way when the time is up: the lock may have passed to somebody ahead of us meanwhile. */
function* lastLook(address: PathnameAddress, {descriptor, file}: HeldLock, before: Contention): Protocol<Contention> {
	const record = yield* readRecord(address, descriptor, file);
	const now = yield* call('contention', file, address.lockPath, record);
	return now.holder === undefined ? before : now;
}

function queueOf(address: PathnameAddress, {descriptor, file}: HeldLock): Queue {
	return {
		address: address.given,
		wait: deadline => call('awaitFlock', descriptor, deadline),
		signal: (holder, signal) => call('signalHolder', file, address.lockPath, holder, signal),
	};
}

/** Reads the record, and refuses a file that has other content: it is somebody's. */
export function* readRecord(
	address: PathnameAddress,
	descriptor: number,
	file: FileStatus,
): Protocol<LockRecord | undefined> {
	const content = file.size > maxRecordBytes ? undefined : yield* call('read', descriptor, maxRecordBytes);
	return refuseForeignContent(address, file, content);
}

/** A courtesy: on a full disk the lock still holds. A part of a record is worse than none. */
export function* writeRecord({descriptor, file}: HeldLock, text: string): Protocol<void> {
	try {
		// First to nothing: readers then see no record or the whole of it, never the end of an older one.
		if (file.size > 0) yield* call('truncate', descriptor);
		if (!(yield* call('write', descriptor, text))) yield* call('truncate', descriptor);
	} catch {}
}

/** Leaves as it was found what could not be taken. */
export function* abandon(address: PathnameAddress, descriptor: number, remove: boolean): Protocol<void> {
	try {
		// Somebody may have removed it meanwhile, and somebody else may have made and locked another.
		const ours = remove ? yield* call('fstat', descriptor) : undefined;
		if (ours && sameFile(yield* call('lstat', address.lockPath), ours)) yield* call('unlink', address.lockPath);
	} catch {
		// An empty file stays behind; the error on its way out matters more.
	} finally {
		yield* close(descriptor);
	}
}
