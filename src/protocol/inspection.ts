/**
 * The state of an address, by looking only: no lock is taken, not even a shared one, for
 * that would make an `acquire` fail that happens at the same moment.
 */
import {dirname} from 'node:path';
import type {AbstractAddress, PathnameAddress} from '../model/address.js';
import {asBindLockError, type BindLockError} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {type LockRecord, maxRecordBytes} from '../model/record.js';
import {call, type FileStatus, type Protocol} from '../model/system.js';
import {taken as nameTaken} from './abstract.js';
import {type Remover, readerPatienceMs} from './lock-file.js';
import {
	cannotOpen,
	isForbidden,
	maxReplacements,
	refuseForeignContent,
	refuseUnlessLockFile,
	taken,
	unstable,
} from './refusals.js';
import {answering, isDead, isOurs, refuseUnlessOurSocket, refuseUnprovable, whilePinned} from './stale.js';

export interface Seen {
	readonly state: 'free' | 'stale' | 'held' | 'foreign' | 'blocked';
	readonly found: 'nothing' | FileStatus['type'];
	readonly holder?: Holder;
	readonly reason?: BindLockError;
}

export function* look(address: PathnameAddress, uid: number): Protocol<Seen> {
	for (let attempt = 1; ; attempt++) {
		const seen = yield* lookOnce(address, uid);
		if (seen !== 'changed') return seen;
		if (attempt === maxReplacements) return {state: 'blocked', found: 'nothing', reason: unstable(address)};
	}
}

/** `'changed'`: what was there went away while we looked at it. */
function* lookOnce(address: PathnameAddress, uid: number): Protocol<Seen | 'changed'> {
	let found: Seen['found'] = 'nothing';
	let lock: Look | undefined;
	try {
		const socket = yield* call('lstat', address.path);
		found = socket?.type ?? 'nothing';
		lock = yield* lookAtLock(address, uid);
		if (lock.held) return {state: 'held', found, ...named(lock.holder)};
		if (lock.reason !== undefined) return {state: 'blocked', found, ...named(lock.holder), reason: lock.reason};
		// A claim that nothing contradicts: the holder may be in a pid namespace that ours cannot see.
		if (socket === undefined && lock.holder !== undefined) return {state: 'held', found, holder: lock.holder};
		if (socket !== undefined)
			return (yield* isStale(address, socket, uid, lock.record)) ? {state: 'stale', found} : 'changed';
		// A lock file that is there already could be locked all the same, but no socket could be bound.
		yield* call('checkWritable', dirname(address.path));
		return {state: 'free', found};
	} catch (error) {
		const reason = asBindLockError(address.given, error);
		if (reason.code === 'ENOENT' && reason.path === address.lockPath) return 'changed';
		if (reason.code !== 'EADDRINUSE') return {state: 'blocked', found, reason};
		// Its server answers, and nobody is seen to be bound.
		if (reason.holder === undefined && lock?.holder !== undefined) return {state: 'held', found, holder: lock.holder};
		return {state: 'foreign', found, ...named(reason.holder)};
	}
}

/** The same for an abstract name, which is never stale. Only its lock socket is asked, and not the server. */
export function* lookAtName(address: AbstractAddress): Protocol<Seen> {
	const by = yield* call('lockSocketHolder', address.lockName);
	const bound = yield* call('boundAbstract', address.name);
	const found = bound === undefined ? 'nothing' : 'socket';
	if (by?.bindlock === false) return {state: 'blocked', found, ...named(by.holder), reason: nameTaken(address, by)};
	if (by !== undefined) return {state: 'held', found, ...named(by.holder)};
	return bound === undefined ? {state: 'free', found} : {state: 'foreign', found, ...named(bound.holder)};
}

interface Look {
	readonly held: boolean;
	readonly holder?: Holder;
	/** Why it could not be taken. */
	readonly reason?: BindLockError;
	/** What the last holder has left. */
	readonly record?: LockRecord | undefined;
}

function* lookAtLock(address: PathnameAddress, uid: number): Protocol<Look> {
	let waitedMs = 0;
	for (let pauseMs = 1; ; pauseMs *= 2) {
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
		if (kind === 'exclusive') return {held: true, ...named(holder)};
		yield* checkOpens(address, file, uid);
		if (kind === 'unseen') {
			// The kernel would show a lock of this pid namespace.
			return {held: false, record, ...named(contention.elsewhere ? holder : undefined)};
		}
		if (waitedMs >= readerPatienceMs) {
			return {held: false, ...named(holder), reason: taken(address, contention, undefined)};
		}
		// A reader that tests the lock has it for a moment.
		yield* call('pause', pauseMs);
		waitedMs += pauseMs;
	}
}

/** The error is that of `acquire`, which opens the file. */
function* checkOpens(address: PathnameAddress, file: FileStatus, uid: number): Protocol<void> {
	try {
		yield* call('checkWritable', address.lockPath);
	} catch (error) {
		throw isForbidden(error) ? cannotOpen(address, error, uid, file) : error;
	}
}

function* isStale(
	address: PathnameAddress,
	socket: FileStatus,
	uid: number,
	record: LockRecord | undefined,
): Protocol<boolean> {
	const remover = {uid, reclaimForeign: false};
	if (socket.type !== 'socket') refuseUnlessOurSocket(address, socket, remover);
	const dead = yield* whilePinned(address, socket, pinned => {
		return isOurs(socket, remover)
			? isDead(address, socket, pinned, {ours: true, proof: false})
			: isOthersDead(address, socket, remover, pinned);
	});
	if (dead !== true) return false;
	yield* refuseUnprovable(address, () => answering(record));
	refuseUnlessOurSocket(address, socket, remover, 'dead');
	yield* call('checkWritable', dirname(address.path));
	return true;
}

/** Another user's socket may often not be connected to: then `acquire` would still refuse it for whose it is. */
function* isOthersDead(
	address: PathnameAddress,
	socket: FileStatus,
	remover: Remover,
	pinned: number | undefined,
): Protocol<boolean> {
	try {
		return yield* isDead(address, socket, pinned, {ours: false, proof: false});
	} catch (error) {
		const reason = asBindLockError(address.given, error);
		if (reason.syscall === 'connect') refuseUnlessOurSocket(address, socket, remover, reason);
		throw reason;
	}
}

function named(holder: Holder | undefined): {holder?: Holder} {
	return holder === undefined ? {} : {holder};
}
