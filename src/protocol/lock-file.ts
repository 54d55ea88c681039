/**
 * Taking the lock of a lock file: opened, checked, locked. The order of the calls is the protocol. Each comment names the
 * race that its step prevents.
 */

import type {PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {type BindLockError, codeOf} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import {type LockRecord, maxRecordBytes} from '../model/record.js';
import type {Contention, FileStatus} from '../model/system.js';
import {type HeldLock, isAtLockPath} from './held-lock.js';
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
	/** The effective user id of this process; `undefined` where there are none. */
	readonly uid: number | undefined;
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

/** Programs that test a lock (`pgrep -L`) hold a shared lock for microseconds. One that lasts longer is reported. */
export const sharedLockMs = 100;

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

function* explainOpen(address: PathnameAddress, uid: number | undefined, cause: unknown): Protocol<BindLockError> {
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
	const contended: Contended = {
		address: address.given,
		wait: deadline => call('awaitFlock', descriptor, deadline),
		signal: (holder, signal) => call('signalHolder', file, address.lockPath, holder, signal),
	};
	const backoff = new Backoff();
	do {
		// A lock on an orphaned inode excludes no process.
		if (!(yield* isAtLockPath(address.lockPath, lock))) return false;
		const contention = yield* call('contention', file, address.lockPath, record);
		// flock does not distinguish a holder from a program that tests the lock.
		if (contention.kind !== 'exclusive' && (yield* backoff.within(sharedLockMs))) continue;
		if (yield* waiting.for(contention.holder, contended)) continue;
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
