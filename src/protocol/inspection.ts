/**
 * The state of an address, without a lock. Even a shared lock would make a simultaneous `acquire` fail.
 */
import {dirname} from 'node:path';
import type {AbstractAddress, PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {asBindLockError, type BindLockError} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {type LockRecord, maxRecordBytes} from '../model/record.js';
import type {FileStatus} from '../model/system.js';
import {nameInUse} from './abstract.js';
import {Backoff} from './holder-wait.js';
import {isDead} from './liveness.js';
import {sharedLockMs} from './lock-file.js';
import {
	addressLocked,
	cannotOpen,
	isForbidden,
	lockFileUnstable,
	maxReplacements,
	refuseForeignContent,
	refuseUnlessLockFile,
} from './refusals.js';
import {mayRemove, ownedByOther, refuseUnlessSocket, refuseUnprovable, whilePinned} from './stale.js';

/** The state of an address, as it was a moment ago. */
export interface Inspection {
	/**
	 * `'free'`: the path or name is unused. `'stale'`: a socket file that no process is bound to; the next start removes
	 * it. `'held'`: a process holds the lock. `'foreign'`: a server that takes no lock is bound. `'blocked'`: the address
	 * cannot be locked or bound; see `reason`.
	 */
	readonly state: 'free' | 'stale' | 'held' | 'foreign' | 'blocked';
	/** The address as it was given. */
	readonly address: string;
	/** The lock file; `undefined` for an abstract address. */
	readonly lockPath: string | undefined;
	/**
	 * For an abstract address: the network namespace of this process, as `/proc/self/ns/net` names it. The same name in
	 * another namespace is another address.
	 */
	readonly networkNamespace?: string;
	/** What is at the address. */
	readonly found: 'nothing' | 'socket' | 'file' | 'directory' | 'symlink' | 'other';
	/** The process that holds the lock or is bound; absent if it is not visible here. */
	readonly holder?: Holder;
	/** Why the address is blocked: the error of `acquire`, or of the bind after it. */
	readonly reason?: BindLockError;
}

/** What the protocol finds out. */
type AddressState = Pick<Inspection, 'state' | 'found' | 'holder' | 'reason'>;

/** Finds the state of a pathname address. */
export function* inspectPathname(address: PathnameAddress, uid: number | undefined): Protocol<AddressState> {
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		const seen = yield* inspectOnce(address, uid);
		if (seen !== undefined) return seen;
	}
	return {state: 'blocked', found: 'nothing', reason: lockFileUnstable(address)};
}

/** Finds the state of an abstract name, which is never stale. Connects to its lock socket, not to its server. */
export function* inspectAbstract(address: AbstractAddress): Protocol<AddressState> {
	const by = yield* call('lockSocketHolder', address.lockName);
	const bound = yield* call('boundAbstract', address.name);
	const found = bound === undefined ? 'nothing' : 'socket';
	if (by?.bindlock === false) return {state: 'blocked', found, ...named(by.holder), reason: nameInUse(address, by)};
	if (by !== undefined) return {state: 'held', found, ...named(by.holder)};
	return bound === undefined ? {state: 'free', found} : {state: 'foreign', found, ...named(bound.holder)};
}

/** Returns `undefined` if a file was removed or replaced meanwhile. */
function* inspectOnce(address: PathnameAddress, uid: number | undefined): Protocol<AddressState | undefined> {
	let found: AddressState['found'] = 'nothing';
	let lock: LockState | undefined;
	try {
		const socket = yield* call('lstat', address.path);
		found = socket?.type ?? 'nothing';
		lock = yield* inspectLock(address, uid);
		if (lock.held) return {state: 'held', found, ...named(lock.holder)};
		if (lock.reason !== undefined) return {state: 'blocked', found, ...named(lock.holder), reason: lock.reason};
		if (socket !== undefined) {
			return (yield* isStale(address, socket, uid, lock.record)) ? {state: 'stale', found} : undefined;
		}
		// Only the record names this holder: it may be in a pid namespace that is not visible here.
		if (lock.holder !== undefined) return {state: 'held', found, holder: lock.holder};
		// An existing lock file could be locked in a read-only directory, but no socket could be bound.
		yield* call('checkWritable', dirname(address.path));
		return {state: 'free', found};
	} catch (error) {
		const reason = asBindLockError(address.given, error);
		if (reason.code === 'ENOENT' && reason.path === address.lockPath) return undefined;
		if (reason.code !== 'EADDRINUSE') return {state: 'blocked', found, reason};
		// A server accepts connections, no process is visible, and only the record names a holder.
		if (reason.holder === undefined && lock?.holder !== undefined) return {state: 'held', found, holder: lock.holder};
		return {state: 'foreign', found, ...named(reason.holder)};
	}
}

interface LockState {
	readonly held: boolean;
	readonly holder?: Holder | undefined;
	/** Why the lock cannot be taken. */
	readonly reason?: BindLockError;
	/** The record that the previous holder left. */
	readonly record?: LockRecord | undefined;
}

function* inspectLock(address: PathnameAddress, uid: number | undefined): Protocol<LockState> {
	const backoff = new Backoff();
	for (;;) {
		const file = yield* call('lstat', address.lockPath);
		if (file === undefined) {
			yield* call('checkWritable', dirname(address.path));
			return {held: false};
		}
		refuseUnlessLockFile(address, file);
		const content = file.size > maxRecordBytes ? undefined : yield* call('peek', address.lockPath, maxRecordBytes);
		const record = refuseForeignContent(address, file, content);
		const contention = yield* call('contention', file, address.lockPath, record);
		const {kind, holder} = contention;
		if (kind === 'exclusive') return {held: true, holder};
		yield* checkOpen(address, file, uid);
		if (kind === 'unseen') {
			// The kernel shows the locks of this pid namespace, so only a holder in another one is possible.
			return {held: false, record, holder: contention.elsewhere ? holder : undefined};
		}
		// A program that tests the lock holds it for a moment.
		if (yield* backoff.within(sharedLockMs)) continue;
		return {held: false, holder, reason: addressLocked(address, contention, undefined)};
	}
}

/** Throws the error that `acquire` throws when it opens the lock file. */
function* checkOpen(address: PathnameAddress, file: FileStatus, uid: number | undefined): Protocol<void> {
	try {
		yield* call('checkWritable', address.lockPath);
	} catch (error) {
		throw isForbidden(error) ? cannotOpen(address, error, uid, file) : error;
	}
}

function* isStale(
	address: PathnameAddress,
	socket: FileStatus,
	uid: number | undefined,
	record: LockRecord | undefined,
): Protocol<boolean> {
	const removable = mayRemove(socket, {uid, reclaimForeign: false});
	refuseUnlessSocket(address, socket);
	try {
		const probe = {removable, removes: false};
		if (!(yield* whilePinned(address, socket, pinned => isDead(address, socket, pinned, probe)))) return false;
	} catch (error) {
		const reason = asBindLockError(address.given, error);
		if (removable || reason.syscall !== 'connect') throw reason;
		// Often a socket of another user cannot be connected to. `acquire` refuses it because of its owner.
		throw ownedByOther(address, socket, uid, false, reason);
	}
	yield* refuseUnprovable(address, record);
	if (!removable) throw ownedByOther(address, socket, uid, true);
	yield* call('checkWritable', dirname(address.path));
	return true;
}

function named(holder: Holder | undefined): {holder?: Holder} {
	return holder === undefined ? {} : {holder};
}
