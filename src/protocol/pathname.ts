/**
 * The algorithm for addresses that have a file: take and reclaim. It does no
 * I/O; every line with a `call` is one step of the kernel, in the order that keeps it correct.
 */
import type {PathnameAddress} from '../address.js';
import {addressInUse, BindLockError, codeOf, printable} from '../errors.js';
import {refuseIfBound} from './bound.js';
import {call, type FileStatus, type Protocol} from './calls.js';
import {explainForbidden} from './forbidden.js';
import {
	abandon,
	type Claim,
	close,
	type HeldLock,
	lockOpened,
	openLockFile,
	type Remover,
	sameFile,
	writeRecord,
} from './lockfile.js';
import {cannotFlock, granted, maxReplacements, neverLocks, unstable} from './refusals.js';
import {Waiting} from './waiting.js';

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
			const reclaimed = reclaims && (yield* reclaim(address, claim, file.size > 0 || waiting.begun));
			const lock = {descriptor, file};
			yield* writeRecord(lock, claim.record(descriptor));
			kept = true;
			return {lock, created, reclaimed};
		} catch (error) {
			if ((error as NodeJS.ErrnoException | undefined)?.syscall !== 'flock') throw error;
			if (created && neverLocks(error)) remove = true;
			throw cannotFlock(address, error);
		} finally {
			if (!kept) yield* abandon(address, descriptor, remove);
		}
	}
	throw unstable(address);
}

/**
 * Removes a socket file that no process is bound to. Only under the lock.
 *
 * @param crashed the last holder gave nothing back, or has ended just now
 * @returns whether there was one
 */
export function* reclaim(address: PathnameAddress, remover: Remover, crashed = false): Protocol<boolean> {
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		const found = yield* call('lstat', address.path);
		if (found === undefined) return false;
		// Whose it is does not matter to whoever asks whether the address is in use.
		if (found.type === 'socket' && !isOurs(found, remover))
			yield* refuseIfBound(address, () => call('bound', address.path, found));
		refuseUnlessOurSocket(address, found, remover);
		let outcome: 'unlinked' | 'gone' | 'replaced';
		try {
			outcome = yield* unlinkIfDead(address, found, crashed);
		} catch (error) {
			throw explainForbidden(address, found, remover, error);
		}
		if (outcome !== 'replaced') return outcome === 'unlinked';
	}
	throw new BindLockError(
		`Cannot use ${printable(address.path)}: somebody replaces it all the time, and does not take the lock`,
		{code: 'ERR_ADDRESS_UNSTABLE', address: address.given, syscall: 'unlink'},
	);
}

/** Root may remove anybody's, and in most directories only the owner may remove a socket. */
export function isOurs(found: FileStatus, {uid, reclaimForeign}: Remover): boolean {
	return found.uid === uid || uid === 0 || reclaimForeign;
}

/**
 * What could be at an address instead of a socket, or whose socket, is not ours to remove.
 *
 * @param asked what became of asking whether it is dead, if that was asked: it is, or why that cannot be told
 */
export function refuseUnlessOurSocket(
	address: PathnameAddress,
	found: FileStatus,
	remover: Remover,
	asked?: 'dead' | BindLockError,
): void {
	if (found.type !== 'socket') {
		const what = {file: 'a regular file', directory: 'a directory', symlink: 'a symbolic link', other: 'not a socket'};
		throw new BindLockError(
			`Cannot bind to ${printable(address.path)}: it is ${what[found.type]}, and stays as it is; remove it or choose another address`,
			{code: 'ENOTSOCK', address: address.given, syscall: 'bind'},
		);
	}
	if (!isOurs(found, remover)) {
		const remedy = 'that user or root has to remove it, or you with reclaimForeign: true (--reclaim-foreign)';
		throw new BindLockError(
			`Cannot reclaim the socket ${printable(address.path)}: it belongs to uid ${found.uid} and this process is uid ${remover.uid}; ` +
				(asked === 'dead' ? `no server is bound to it, and ${remedy}` : `if no server is bound to it, ${remedy}`),
			{code: 'EPERM', address: address.given, syscall: 'unlink', cause: asked === 'dead' ? undefined : asked},
		);
	}
}

/**
 * A socket file whose socket is gone stays dead: no bind() accepts an existing file. So it is
 * enough to show once that this inode is dead, and then that this inode is what gets unlinked.
 */
function* unlinkIfDead(
	address: PathnameAddress,
	found: FileStatus,
	crashed: boolean,
): Protocol<'unlinked' | 'gone' | 'replaced'> {
	return yield* whilePinned(address, found, function* (pinned) {
		yield* letBindsFinish(address.path);
		if (!(yield* isDead(address, found, pinned, true, crashed))) return 'replaced';
		// A server that takes no lock may have unlinked it and bound anew while we asked. The pin
		// keeps the inode's number from coming back. Between this look and the unlink nothing
		// guards against such a server; the kernel has no unlink-if-inode.
		if (!sameFile(yield* call('lstat', address.path), found)) return 'replaced';
		return (yield* call('unlink', address.path)) ? 'unlinked' : 'gone';
	});
}

/**
 * bind() shows the socket's file before the kernel's tables know the socket, both while it has the
 * directory locked (`unix_bind_bsd` in net/unix/af_unix.c). A link to a name that exists fails, but not
 * before it has had that lock: so whoever made the file that we have seen is in the tables after it.
 */
function* letBindsFinish(path: string): Protocol<void> {
	try {
		yield* call('link', path, path);
	} catch {}
}

/** Keeps the socket's inode from being freed, and its number from being used again, during `body`. */
export function* whilePinned<Result>(
	address: PathnameAddress,
	found: FileStatus,
	body: (pinned: number | undefined) => Protocol<Result>,
): Protocol<Result | 'replaced'> {
	let pinned: number | undefined;
	try {
		pinned = yield* call('pin', address.path);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return 'replaced';
		throw cannotTell(address, codeOf(error), error);
	}
	if (pinned === undefined) return yield* body(undefined);
	try {
		return sameFile(yield* call('fstat', pinned), found) ? yield* body(pinned) : 'replaced';
	} finally {
		yield* close(pinned);
	}
}

/**
 * Whether the pinned socket has no process bound to it. Throws if it has, or if that cannot be
 * told; `false` if it went away while we asked.
 *
 * @param ours of another user's it is not asked who may be bound to it
 */
export function* isDead(
	address: PathnameAddress,
	found: FileStatus,
	pinned: number | undefined,
	ours: boolean,
	crashed = false,
): Protocol<boolean> {
	// Asked first, because a connection can disturb: a server that serves one and exits, or one
	// that handles no errors. It also sees sockets that are bound and do not listen yet, which
	// refuse connections as a dead one does (R4b).
	yield* refuseIfBound(address, () => call('bound', address.path, found), crashed, ours);
	const answer = yield* call('connect', address.path, pinned);
	if (answer === 'ECONNREFUSED') return true;
	// Gone, or dying with our connection in its queue: look again.
	if (answer === 'ENOENT' || answer === 'ECONNRESET') return false;
	const alive = signsOfLife[answer];
	if (alive !== undefined) throw addressInUse(address.given, {why: alive});
	// Our own trouble (no descriptors, no permission) says nothing about the server (R8).
	throw cannotTell(address, answer);
}

const signsOfLife: Readonly<Record<string, string>> = {
	CONNECTED: 'a server that takes no lock answers there, perhaps from another network namespace',
	EAGAIN: 'a server that takes no lock has a full backlog there',
	EPROTOTYPE: 'a datagram or seqpacket socket is bound there',
	ETIMEDOUT: 'something is there and does not answer',
};

function cannotTell(address: PathnameAddress, code: string, cause?: unknown): BindLockError {
	return new BindLockError(
		`Cannot tell whether a server is bound to ${printable(address.path)}: asking failed (${code}), and only a refused connection counts as dead`,
		{code, address: address.given, syscall: 'connect', cause},
	);
}
