/**
 * A lock that is held: its record, its release, its inheritance.
 */
import type {PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {BindLockError} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import type {FileStatus} from '../model/system.js';
import {printable} from '../model/text.js';

/** A lock that this process holds. The open file description of the descriptor has the flock. */
export interface HeldLock {
	readonly descriptor: number;
	readonly file: FileStatus;
}

/** Closes a descriptor. Linux frees it even if close() reports an error (`close(2)`). */
export function* close(descriptor: number): Protocol<void> {
	try {
		yield* call('close', descriptor);
	} catch {}
}

/** Whether the lock path still leads to the locked file. */
export function* isAtLockPath(lockPath: string, {file}: HeldLock): Protocol<boolean> {
	return isSameFile(yield* call('lstat', lockPath), file);
}

/** Writes the record. The lock holds without it, so a full disk is no error. */
export function* writeRecord({descriptor, file}: HeldLock, text: string): Protocol<void> {
	try {
		// Truncates first, so that readers see no record or a whole one, never the rest of an older one.
		if (file.size > 0) yield* call('truncate', descriptor);
		if (!(yield* call('write', descriptor, text))) yield* call('truncate', descriptor);
	} catch {}
}

/** Writes a record in place of an older one of this lock. */
export function replaceRecord({descriptor, file}: HeldLock, text: string): Protocol<void> {
	return writeRecord({descriptor, file: {...file, size: 1}}, text);
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
 * `lockDescriptor`).
 *
 * @returns `false` if the path leads to another file
 */
export function* removeLockFile(lockPath: string, lock: HeldLock): Protocol<boolean> {
	try {
		if (!(yield* isAtLockPath(lockPath, lock))) return false;
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
	if (record !== undefined) yield* replaceRecord(lock, record);
	yield* close(lock.descriptor);
}

/**
 * Adopts a lock whose descriptor was inherited. Its open file description has the flock already, so that flock only
 * confirms it. After a failure the descriptor is closed: it would exclude every server once the predecessor has exited.
 *
 * @throws BindLockError `ERR_LOCK_LOST`
 */
export function* adoptLock(address: PathnameAddress, descriptor: number): Protocol<HeldLock> {
	let isAdopted = false;
	try {
		const lock = {descriptor, file: yield* call('fstat', descriptor)};
		isAdopted = (yield* isAtLockPath(address.lockPath, lock)) && (yield* call('flock', descriptor));
		if (isAdopted) return lock;
	} finally {
		if (!isAdopted) yield* close(descriptor);
	}
	throw new BindLockError(`The inherited lock is not, or no longer, the lock of ${printable(address.given)}`, {
		code: 'ERR_LOCK_LOST',
		address: address.given,
		path: address.lockPath,
	});
}
