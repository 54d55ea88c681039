/**
 * Reclaiming: is a socket file stale, and may it be removed? Done only under the lock.
 */
import type {PathnameAddress} from '../model/address.js';
import {addressInUse, BindLockError, type BindLockErrorCode, codeOf} from '../model/errors.js';
import type {LockRecord} from '../model/record.js';
import {type Bound, call, type FileStatus, type Protocol} from '../model/system.js';
import {printable} from '../model/text.js';
import {explainForbidden} from './forbidden.js';
import {refuseIfBound} from './foreign-server.js';
import {close, type Remover, sameFile} from './lock-file.js';
import {maxReplacements} from './refusals.js';

/** The lock under which a socket is reclaimed. */
export interface Holding {
	/** Whether the last holder gave nothing back, or has ended just now. */
	readonly crashed: boolean;
	/** What the last holder has left in the lock file. */
	record(): Protocol<LockRecord | undefined>;
	/** Whether the lock is still ours: a cleaner may have removed its file, and this process may have released it. */
	isHeld(): Protocol<boolean>;
}

/** A lock of which the protocol knows only whether it is held. */
export function holdingWhile(isHeld: () => boolean): Holding {
	return {crashed: false, record: () => answering(undefined), isHeld: () => answering(isHeld())};
}

/** Makes no call. */
// biome-ignore lint/correctness/useYield: it stands for a protocol
export function* answering<Result>(result: Result): Protocol<Result> {
	return result;
}

/**
 * Removes a socket file that no process is bound to.
 *
 * @returns whether there was one
 */
export function* reclaim(address: PathnameAddress, remover: Remover, holding: Holding): Protocol<boolean> {
	for (let attempt = 0; attempt < maxReplacements; attempt++) {
		const found = yield* call('lstat', address.path);
		if (found === undefined) return false;
		// EADDRINUSE before EPERM: a live server matters more than its owner.
		if (found.type === 'socket' && !isOurs(found, remover)) {
			yield* refuseIfBound(address, () => call('bound', address.path, found, 'named'));
		}
		refuseUnlessOurSocket(address, found, remover);
		let outcome: 'unlinked' | 'gone' | 'replaced';
		try {
			outcome = yield* unlinkIfDead(address, found, holding);
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
	holding: Holding,
): Protocol<'unlinked' | 'gone' | 'replaced'> {
	return yield* whilePinned(address, found, function* (pinned) {
		yield* letBindsFinish(address.path);
		if (!(yield* isDead(address, found, pinned, {ours: true, crashed: holding.crashed, proof: true})))
			return 'replaced';
		yield* refuseUnprovable(address, holding.record);
		// Asking takes time, in which the lock may have been lost or released, and the address taken by another holder.
		if (!(yield* holding.isHeld())) throw lockLost(address);
		// A server that takes no lock may have unlinked it and bound anew while we asked. The pin
		// keeps the inode's number from coming back. Between this look and the unlink nothing
		// guards against such a server; the kernel has no unlink-if-inode.
		if (!sameFile(yield* call('lstat', address.path), found)) return 'replaced';
		return (yield* call('unlink', address.path)) ? 'unlinked' : 'gone';
	});
}

function lockLost(address: PathnameAddress): BindLockError {
	return new BindLockError(
		`Cannot reclaim the socket ${printable(address.path)}: the lock was lost meanwhile, because ${printable(address.lockPath)} was removed or replaced; find out what removes it`,
		{code: 'ERR_LOCK_LOST', address: address.given, path: address.lockPath},
	);
}

/**
 * Throws where a refused connection is no proof that nobody is bound, or where the file cannot be removed.
 *
 * @param readRecord what the last holder has left: if that process has ended, the file is its
 */
export function* refuseUnprovable(
	address: PathnameAddress,
	readRecord: () => Protocol<LockRecord | undefined>,
): Protocol<void> {
	const record = yield* readRecord();
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

export interface Asking {
	/** Whether the file is ours to remove. Of another user's it is not asked who may be bound to it. */
	readonly ours: boolean;
	readonly crashed?: boolean;
	/** Whether the answer is used to remove the file, so that a wrong one does harm. */
	readonly proof: boolean;
}

/**
 * Whether the pinned socket has no process bound to it. Throws if it has, or if that cannot be
 * told; `false` if it went away while we asked.
 */
export function* isDead(
	address: PathnameAddress,
	found: FileStatus,
	pinned: number | undefined,
	{ours, crashed = false, proof}: Asking,
): Protocol<boolean> {
	// Asked first, because a connection can disturb: a server that serves one and exits, or one
	// that handles no errors.
	yield* refuseIfBound(address, () => call('bound', address.path, found, 'named'), {crashed, isAskedNext: ours});
	let answer = '';
	const look = function* (): Protocol<Bound | undefined> {
		answer = yield* call('connect', address.path, pinned);
		return answer === 'BOUND' ? {isCertain: true} : undefined;
	};
	// Sockets that are bound and do not listen yet refuse connections as dead ones do (R4b).
	yield* refuseIfBound(address, look, {crashed});
	if (answer === 'UNPROVED') yield* refuseIfSeenAgain(address, found, proof, crashed);
	if (answer === 'UNPROVED' || answer === 'ECONNREFUSED') return true;
	// Gone, or dying with our connection in its queue: look again.
	if (answer === 'ENOENT' || answer === 'ECONNRESET') return false;
	const alive = signsOfLife[answer];
	if (alive !== undefined) throw addressInUse(address.given, {why: alive});
	// Our own trouble (no descriptors, no permission) says nothing about the server (R8).
	throw cannotTell(address, answer);
}

/**
 * The kernel's tables are read in pieces and are no snapshot: a neighbour that makes and closes sockets at the right
 * moment can hide a row from one reading, and hardly from several at random times (R20).
 */
const readings = 5;

/** Where connecting does not tell a socket that is bound and does not listen yet from a dead one. */
function* refuseIfSeenAgain(
	address: PathnameAddress,
	found: FileStatus,
	proof: boolean,
	crashed: boolean,
): Protocol<void> {
	for (let reading = 0; reading < (proof ? readings : 1); reading++) {
		if (reading > 0) yield* call('pause', reading);
		yield* refuseIfBound(address, () => call('bound', address.path, found, proof ? 'all' : 'possible'), {crashed});
	}
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
		{code: code as BindLockErrorCode, address: address.given, syscall: 'connect', cause},
	);
}
