/**
 * The lock file: opened, checked, locked, written and released. The order of the calls is the protocol. Each comment
 * names the race that its step prevents.
 */

import type {PathnameAddress} from '../model/address.js';
import {BindLockError, codeOf} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import {type LockRecord, maxRecordBytes} from '../model/record.js';
import {type Contention, call, type FileStatus, type Protocol} from '../model/system.js';
import {printable} from '../model/text.js';
import {Backoff, type Contended, type Patience, type Waiting} from './holder-wait.js';
import {
	addressLocked,
	cannotOpen,
	isForbidden,
	lockFileUnstable,
	maxReplacements,
	refuseForeignContent,
	refuseUnlessLockFile,
} from './refusals.js';

/** The process that removes dead sockets. */
export interface Remover {
	/** The effective user id of this process. */
	readonly uid: number;
	/** Whether sockets of other users may be removed. */
	readonly reclaimForeign: boolean;
}

/** The process that takes a lock, and how. */
export interface Claim extends Remover {
	/** The mode of a lock file that is created. */
	readonly lockFileMode: number;
	/** Returns the text of the record. An abstract lock has no descriptor. */
	readonly record: (descriptor?: number) => string;
	readonly patience: Patience;
}

/** A lock that this process holds. The open file description of the descriptor has the flock. */
export interface HeldLock {
	readonly descriptor: number;
	readonly file: FileStatus;
}

/** Programs that test a lock (`pgrep -L`) hold a shared lock for microseconds. One that lasts longer is reported. */
export const sharedLockMs = 100;

/** Closes a descriptor. Linux frees it even if close() reports an error (`close(2)`). */
export function* close(descriptor: number): Protocol<void> {
	try {
		yield* call('close', descriptor);
	} catch {}
}

/** Opens the lock file, or creates it. Opens without `O_CREAT` first, because of `fs.protected_regular` (`proc(5)`). */
export function* openLockFile(
	address: PathnameAddress,
	{uid, lockFileMode}: Claim,
): Protocol<{readonly descriptor: number; readonly created: boolean}> {
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		try {
			return {descriptor: yield* call('openLockFile', address.lockPath, false, lockFileMode), created: false};
		} catch (error) {
			if (codeOf(error) !== 'ENOENT') throw yield* explainOpen(address, uid, error);
		}
		try {
			return {descriptor: yield* call('openLockFile', address.lockPath, true, lockFileMode), created: true};
		} catch (error) {
			// Another process created it between the two attempts.
			if (codeOf(error) !== 'EEXIST') throw yield* explainOpen(address, uid, error);
		}
	}
	throw lockFileUnstable(address);
}

function* explainOpen(address: PathnameAddress, uid: number, cause: unknown): Protocol<BindLockError> {
	let found: FileStatus | undefined;
	try {
		if (isForbidden(cause)) found = yield* call('lstat', address.lockPath);
	} catch {
		// The error is then explained without the owner and mode.
	}
	return cannotOpen(address, cause, uid, found);
}

/**
 * Locks an open lock file.
 *
 * @returns the file; `undefined` if the path leads to another file by now
 * @throws BindLockError `EADDRINUSE` if another process holds the lock
 */
export function* lockDescriptor(
	address: PathnameAddress,
	descriptor: number,
	waiting: Waiting,
): Protocol<FileStatus | undefined> {
	const opened = yield* call('fstat', descriptor);
	// Removed since it was opened: a lock on an orphaned inode excludes no process.
	if (opened.nlink === 0) return undefined;
	refuseUnlessLockFile(address, opened);
	const record = opened.size === 0 ? undefined : yield* readRecord(address, descriptor, opened);
	const isLocked =
		(yield* call('flock', descriptor)) || (yield* waitForLock(address, {descriptor, file: opened}, record, waiting));
	if (!isLocked) return undefined;
	// A holder may have unlinked the file before it released the lock (libwayland does), while this process waited. A
	// newcomer then creates and locks a new file, and this process holds the orphaned inode (R1).
	const locked = yield* call('lstat', address.lockPath);
	if (!isSameFile(locked, opened)) return undefined;
	// Written between fstat and flock: by a holder that has died since, or by another program.
	if (locked.size !== opened.size && locked.size > 0) yield* readRecord(address, descriptor, locked);
	return locked;
}

/**
 * Waits for the holder of the lock as long as the options allow.
 *
 * @returns `false` if the path leads to another file by now
 * @throws BindLockError `EADDRINUSE`
 */
function* waitForLock(
	address: PathnameAddress,
	lock: HeldLock,
	record: LockRecord | undefined,
	waiting: Waiting,
): Protocol<boolean> {
	const {descriptor, file} = lock;
	const backoff = new Backoff();
	do {
		// A lock on an orphaned inode excludes no process.
		if (!isSameFile(yield* call('lstat', address.lockPath), file)) return false;
		const contention = yield* call('contention', file, address.lockPath, record);
		// flock does not distinguish a holder from a program that tests the lock.
		if (contention.kind !== 'exclusive' && (yield* backoff.within(sharedLockMs))) continue;
		if (yield* waiting.for(contention.holder, contendedFile(address, lock))) continue;
		const current = waiting.begun ? yield* currentContention(address, lock, contention) : contention;
		throw addressLocked(address, current, waiting.waitedMs);
	} while (!(yield* call('flock', descriptor)));
	return true;
}

/** Looks again after a wait: the lock may have passed to another waiter. */
function* currentContention(
	address: PathnameAddress,
	{descriptor, file}: HeldLock,
	before: Contention,
): Protocol<Contention> {
	const record = yield* readRecord(address, descriptor, file);
	const now = yield* call('contention', file, address.lockPath, record);
	return now.holder === undefined ? before : now;
}

function contendedFile(address: PathnameAddress, {descriptor, file}: HeldLock): Contended {
	return {
		address: address.given,
		wait: deadline => call('awaitFlock', descriptor, deadline),
		signal: (holder, signal) => call('signalHolder', file, address.lockPath, holder, signal),
	};
}

/**
 * Reads the record of the lock file.
 *
 * @throws BindLockError `ERR_LOCK_FILE_FOREIGN` if it has other content
 */
export function* readRecord(
	address: PathnameAddress,
	descriptor: number,
	file: FileStatus,
): Protocol<LockRecord | undefined> {
	const content = file.size > maxRecordBytes ? undefined : yield* call('read', descriptor, maxRecordBytes);
	return refuseForeignContent(address, file, content);
}

/** Writes the record. The lock holds without it, so a full disk is no error. */
export function* writeRecord({descriptor, file}: HeldLock, text: string): Protocol<void> {
	try {
		// Truncates first, so that readers see no record or a whole one, never the rest of an older one.
		if (file.size > 0) yield* call('truncate', descriptor);
		if (!(yield* call('write', descriptor, text))) yield* call('truncate', descriptor);
	} catch {}
}

/** Whether the lock path still leads to the locked file. */
export function* isAtLockPath({lockPath}: {readonly lockPath: string}, lock: HeldLock): Protocol<boolean> {
	return isSameFile(yield* call('lstat', lockPath), lock.file);
}

/** Closes a lock file that was not taken. Removes it if this process created it. */
export function* abandonLockFile(address: PathnameAddress, descriptor: number, remove: boolean): Protocol<void> {
	try {
		// The path may lead to a file by now that another process has created and locked.
		const opened = remove ? yield* call('fstat', descriptor) : undefined;
		if (opened && isSameFile(yield* call('lstat', address.lockPath), opened)) yield* call('unlink', address.lockPath);
	} catch {
		// An empty file stays behind. The error that caused this matters more.
	} finally {
		yield* close(descriptor);
	}
}

/** Releases the lock. The socket must be unlinked or closed before. */
export function* releaseLock(lockPath: string, lock: HeldLock, remove: boolean): Protocol<void> {
	try {
		// An empty lock file means a clean exit; a record in an unlocked file means a crash.
		if (!remove || !(yield* removeLockFile(lockPath, lock))) yield* call('truncate', lock.descriptor);
	} catch {
		// The record stays, which is harmless.
	} finally {
		yield* close(lock.descriptor);
	}
}

/**
 * Unlinks the lock file while it is locked. A waiter that then locks the orphaned inode notices (see
 * {@link lockDescriptor}).
 *
 * @returns `false` if the path leads to another file
 */
export function* removeLockFile(lockPath: string, lock: HeldLock): Protocol<boolean> {
	try {
		if (!isSameFile(yield* call('lstat', lockPath), lock.file)) return false;
		yield* call('unlink', lockPath);
	} catch {
		// The file stays, which is harmless.
	}
	return true;
}

/**
 * Closes the descriptor of this process. The lock stays with the process that inherited it.
 *
 * @param record of that process; `undefined` if it writes its own
 */
export function* leaveLock(lock: HeldLock, record: string | undefined): Protocol<void> {
	// The file has a record: that of this process.
	if (record !== undefined) yield* writeRecord({...lock, file: {...lock.file, size: 1}}, record);
	yield* close(lock.descriptor);
}

/**
 * Adopts a lock whose descriptor was inherited. Its open file description has the flock already, so that flock only
 * confirms it.
 *
 * @throws BindLockError `ERR_LOCK_LOST`
 */
export function* adoptLock(address: PathnameAddress, descriptor: number): Protocol<HeldLock> {
	const file = yield* call('fstat', descriptor);
	if (isSameFile(yield* call('lstat', address.lockPath), file) && (yield* call('flock', descriptor))) {
		return {descriptor, file};
	}
	throw new BindLockError(`The inherited lock is not, or no longer, the lock of ${printable(address.given)}`, {
		code: 'ERR_LOCK_LOST',
		address: address.given,
		path: address.lockPath,
	});
}
