/**
 * Takes an address, of either kind and in either way; what is taken, and how it is given back.
 */

import {isClusterWorker} from '../kernel/cluster.js';
import {loadFlock} from '../kernel/flock/flock.js';
import {adoptLockSocket, listenerOfLock, lockDescriptorOf} from '../kernel/lock-socket.js';
import {NodeSystem, ownUid} from '../kernel/node-system.js';
import type {AbstractAddress, Address, PathnameAddress} from '../model/address.js';
import {asBindLockError, BindLockError} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import type {Listener, LockSocket} from '../model/system.js';
import {run, runSync} from '../model/system.js';
import {printable} from '../model/text.js';
import {takeAbstract} from '../protocol/abstract.js';
import {
	adoptLock,
	close,
	giveBackLock,
	type HeldLock,
	leaveLock,
	removeLockFile,
	sameFile,
	writeRecord,
} from '../protocol/lock-file.js';
import {retake, type Taken, take} from '../protocol/pathname.js';
import {granted} from '../protocol/refusals.js';
import {claimOf, patienceOf, recordOf, retakePatience} from './claim.js';
import {takeLease} from './lease-lock.js';
import type {Loss} from './loss.js';

/** An address that is ours. */
export interface TakenAddress {
	readonly reclaimed: boolean;
	/**
	 * Gives the lock back. To be called once, when the socket is closed.
	 *
	 * @param unused nothing was ever bound: a lock file that was made for it goes, too
	 */
	giveBack(unused?: boolean): void;
	/** Of the lock file, or of the abstract lock socket: a process that inherits it has the lock too. A lease has none. */
	readonly descriptor?: number;
	/** An abstract lock, to be shared with another process. */
	readonly lockSocket?: Listener | undefined;
	/**
	 * Instead of `giveBack`: leaves the lock to a process that has inherited the descriptor.
	 *
	 * @param heir has it under the number `fd`, and is named in the record; without, it does that itself
	 */
	leaveTo?(heir?: {readonly pid: number; readonly fd: number}): void;
	/** Instead of `giveBack`, at the end of this process: the kernel ends the lock with it. A lease has to be given back. */
	leaveAtExit?(): void;
	/** Names this process in the record, once a lock that was inherited is ours alone. */
	announce?(): void;
	/** For a lock that can be lost without the kernel's telling: one with a lock file. */
	readonly keeper?: LockKeeper;
}

/** How a lock that has a file is kept for life. */
export interface LockKeeper {
	readonly path: string;
	/** Whether the lock file that we locked is still the one at the path. */
	isIntact(): boolean;
	/** Locks the file that is at the path now, made anew if there is none. Throws if somebody was faster. */
	retake(): Promise<void>;
}

/** Runs the protocol; what is thrown, or rejected with, is a BindLockError or the signal's reason. */
export function takeAddress(
	address: Address,
	options: AcquireOptions,
	loss: Loss,
): TakenAddress | Promise<TakenAddress> {
	const {signal} = options;
	const explain = (error: unknown): never => {
		signal?.throwIfAborted();
		const explained = asBindLockError(address.given, error);
		// Ten frames are kept: without this all of them are ours, and none is of whoever asked for the address.
		Error.captureStackTrace(explained, explain);
		throw explained;
	};
	try {
		signal?.throwIfAborted();
		if (!options.exclusive) refuseInWorker(address);
		const outcome = takeByKind(address, options, loss);
		return outcome instanceof Promise ? outcome.then(granted).catch(explain) : granted(outcome);
	} catch (error) {
		return explain(error);
	}
}

/** An address that somebody has is refused by what is returned, everything else by what is thrown: see {@link take}. */
type Outcome = TakenAddress | BindLockError;

/** The primary binds for all workers: a lock of one of them would keep out the others, and not what matters. */
function refuseInWorker(address: Address): void {
	if (!isClusterWorker()) return;
	throw new BindLockError(
		`A worker of a cluster does not bind ${printable(address.given)}, its primary does: import 'bindlock/register' in the primary and call server.listen() here; or give exclusive: true, if the address is this worker's alone`,
		{code: 'ERR_CLUSTER_WORKER', address: address.given},
	);
}

function takeByKind(address: Address, options: AcquireOptions, loss: Loss): Outcome | Promise<Outcome> {
	if (options.backend !== 'lease') {
		return address.kind === 'pathname' ? takePathname(address, options) : takeName(address, options);
	}
	if (address.kind === 'pathname') {
		return takeLease(address, options, patienceOf(options), error => loss.report(error));
	}
	throw new BindLockError('An abstract address has no lease: it is locked by a socket', {
		code: 'ERR_INVALID_ARG_VALUE',
		address: address.given,
	});
}

function takePathname(address: PathnameAddress, options: AcquireOptions): Outcome | Promise<Outcome> {
	loadFlock(address.given);
	const keep = (taken: Taken | BindLockError): Outcome =>
		taken instanceof BindLockError ? taken : new TakenPathname(address, options, taken);
	const outcome = run(take(address, claimOf(options)), new NodeSystem(address.given, options.signal));
	return outcome instanceof Promise ? outcome.then(keep) : keep(outcome);
}

class TakenPathname implements TakenAddress, LockKeeper {
	readonly reclaimed: boolean;
	readonly #address: PathnameAddress;
	readonly #options: AcquireOptions;
	/** Without the signal of the taking: that may be aborted when the lock has long been ours. */
	readonly #system: NodeSystem;
	readonly #created: boolean;
	#lock: HeldLock;
	#retaking: AbortController | undefined;

	constructor(address: PathnameAddress, options: AcquireOptions, {lock, created, reclaimed}: Taken) {
		this.reclaimed = reclaimed;
		this.#address = address;
		this.#options = options;
		this.#system = new NodeSystem(address.given);
		this.#created = created;
		this.#lock = lock;
	}

	get descriptor(): number {
		return this.#lock.descriptor;
	}

	get keeper(): LockKeeper {
		return this;
	}

	get path(): string {
		return this.#address.lockPath;
	}

	giveBack(unused = false): void {
		this.#retaking?.abort();
		this.#giveBack(this.#lock, unused && this.#created);
	}

	#giveBack(lock: HeldLock, remove = false): void {
		runSync(giveBackLock(this.path, lock, remove || (this.#options.removeLockFile ?? false)), this.#system);
	}

	leaveTo(heir?: {readonly pid: number; readonly fd: number}): void {
		this.#retaking?.abort();
		const record = heir && recordOf(this.#options, ownUid())(heir.pid, heir.fd);
		runSync(leaveLock(this.#lock, record), this.#system);
	}

	leaveAtExit(): void {
		if (this.#options.removeLockFile) runSync(removeLockFile(this.path, this.#lock), this.#system);
	}

	announce(): void {
		const record = recordOf(this.#options, ownUid())(process.pid, this.#lock.descriptor);
		runSync(writeRecord(this.#lock, record), this.#system);
	}

	isIntact(): boolean {
		return sameFile(this.#system.lstat(this.path), this.#lock.file);
	}

	async retake(): Promise<void> {
		const claim = {...claimOf(this.#options), patience: retakePatience()};
		this.#retaking = new AbortController();
		const {signal} = this.#retaking;
		const lock = await run(retake(this.#address, claim), new NodeSystem(this.#address.given, signal));
		// Given back at the last moment: then the one that was lost is closed, and its descriptor may be somebody else's.
		if (signal.aborted) this.#giveBack(lock);
		signal.throwIfAborted();
		const lost = this.#lock;
		this.#lock = lock;
		runSync(close(lost.descriptor), this.#system);
	}
}

function takeName(address: AbstractAddress, options: AcquireOptions): TakenAddress | Promise<TakenAddress> {
	if (process.platform !== 'linux') {
		throw new BindLockError('Only Linux has abstract addresses; use a path', {
			code: 'ERR_UNSUPPORTED_PLATFORM',
			address: address.given,
		});
	}
	const system = new NodeSystem(address.given, options.signal);
	const taken = run(takeAbstract(address, claimOf(options)), system);
	return taken instanceof Promise ? taken.then(socket => takenName(socket, system)) : takenName(taken, system);
}

function takenName(socket: LockSocket, system: NodeSystem): TakenAddress {
	return {
		reclaimed: false,
		giveBack: () => system.closeLockSocket(socket),
		descriptor: lockDescriptorOf(socket),
		lockSocket: listenerOfLock(socket),
		leaveTo: () => system.closeLockSocket(socket),
		leaveAtExit: () => {},
	};
}

/**
 * An address whose lock a process has that is about to leave it to us: we have its descriptor already.
 *
 * @throws BindLockError `ERR_LOCK_LOST` if it is not the lock of that address (any more)
 */
export function inheritPathname(address: PathnameAddress, options: AcquireOptions, descriptor: number): TakenAddress {
	loadFlock(address.given);
	const lock = runSync(adoptLock(address, descriptor), new NodeSystem(address.given));
	return new TakenPathname(address, options, {lock, created: false, reclaimed: false});
}

/** The same for an abstract address, whose lock is a listening socket. */
export function inheritAbstract(address: AbstractAddress, options: AcquireOptions, listener: Listener): TakenAddress {
	return takenName(adoptLockSocket(listener, claimOf(options).record()), new NodeSystem(address.given));
}
