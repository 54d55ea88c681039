/**
 * A lock is worth what it is worth at the last minute of a server that has run for a year: notice
 * that its files are removed or replaced, heal what may be healed, and report what is lost.
 */

import {DirectoryOf} from '../kernel/directory.js';
import {watchFiles} from '../kernel/inotify.js';
import {type Loss, publish} from '../lock/loss.js';
import type {LockKeeper} from '../lock/take.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {BindLockError, codeOf} from '../model/errors.js';
import {printable} from '../model/text.js';

/** Something keeps deleting: then it is not for us to keep making. */
const mostHeals = 10;
const withinMs = 60_000;

const momentMs = 5;

/** How long a directory may be absent. */
const absenceMs = 1000;
const absencePollMs = 20;

/** Which of the files is not ours any more. */
interface Gone {
	readonly lock: boolean;
	readonly socket: boolean;
	readonly any: boolean;
}

/** Reports the loss of a lock file; heals nothing. Returns a function that stops watching. */
export function watchLock(address: Address, keeper: LockKeeper | undefined, loss: Loss): () => void {
	if (keeper === undefined) return () => {};
	const directory = new DirectoryOf(keeper.path);
	let looking = false;
	let stopped = false;
	const look = async (): Promise<void> => {
		if (looking || isIntact(keeper)) return;
		looking = true;
		await returnOf(directory, () => stopped);
		looking = false;
		if (!stopped && !isIntact(keeper)) loss.report(lossOf(address, keeper, directory));
	};
	const stopWatching = watchFiles(directory, [keeper.path], () => void look());
	return () => {
		stopped = true;
		stopWatching();
	};
}

/** The two files of a listening server. */
export interface Kept {
	readonly address: PathnameAddress;
	readonly keeper: LockKeeper | undefined;
	/** Whether the socket file that we bound is still at the path. */
	isBound(): boolean;
	/** Binds again, under the held lock. Throws if the path is somebody else's now. */
	rebind(): Promise<void>;
	readonly heals: boolean;
	readonly loss: Loss;
	healed(): void;
	/** After the loss was reported. */
	lost(): void;
}

/** Watches both files of a server, and heals if that is wanted. */
export class Watch {
	readonly #kept: Kept;
	/** As it was when the watches were put in place. */
	#directory!: DirectoryOf;
	#stopWatching = (): void => {};
	#healing = false;
	#recent: number[] = [];
	#stopped = false;

	constructor(kept: Kept) {
		this.#kept = kept;
		this.#start();
	}

	stop(): void {
		this.#stopped = true;
		this.#stopWatching();
	}

	#start(): void {
		this.#stopWatching();
		if (this.#stopped) return;
		const {keeper, address} = this.#kept;
		this.#directory = new DirectoryOf(address.path);
		const paths = keeper === undefined ? [address.path] : [keeper.path, address.path];
		this.#stopWatching = watchFiles(this.#directory, paths, () => void this.#look());
	}

	async #look(): Promise<void> {
		// A lease is lost by its own account: then the address may be somebody else's.
		if (this.#kept.loss.happened) this.stop();
		if (this.#healing || this.#stopped || !this.#gone().any) return;
		this.#healing = true;
		try {
			// A server in a worker thread that closes beside us sets our file aside for some microseconds: no reason to bind anew.
			await new Promise(resolve => setTimeout(resolve, momentMs));
			await returnOf(this.#directory, () => this.#stopped);
			const gone = this.#gone();
			if (gone.any && !this.#stopped && !this.#kept.loss.happened) await this.#mend(gone);
		} finally {
			this.#healing = false;
		}
		// Whatever happened while this went on was passed over.
		await this.#look();
	}

	async #mend({lock, socket}: Gone): Promise<void> {
		const {keeper, heals, loss, address} = this.#kept;
		try {
			if (!heals || this.#tooOften()) throw undefined;
			if (keeper === undefined && this.#directory.state !== 'same') throw new Error('the lease is not there any more');
			// The lock first: without it nothing may be bound.
			if (lock && keeper !== undefined) await this.#heal('lock', () => keeper.retake());
			if (socket && !this.#stopped) await this.#heal('socket', () => this.#kept.rebind());
			// What happened meanwhile, and to the new files, is seen by new watches.
			this.#start();
		} catch (cause) {
			if (this.#stopped) return;
			// The lock file was removed while the socket was healed: the next look begins with the lock.
			if (codeOf(cause) === 'ERR_LOCK_LOST') return;
			this.stop();
			loss.report(lossOf(address, keeper, this.#directory, cause));
			this.#kept.lost();
		}
	}

	#gone(): Gone {
		const {keeper} = this.#kept;
		const lock = keeper !== undefined && !isIntact(keeper);
		const socket = !this.#kept.isBound();
		return {lock, socket, any: lock || socket};
	}

	async #heal(what: 'lock' | 'socket', mend: () => Promise<void>): Promise<void> {
		await mend();
		this.#recent.push(performance.now());
		this.#kept.healed();
		publish('bindlock:healed', {address: this.#kept.address.given, what});
	}

	#tooOften(): boolean {
		this.#recent = this.#recent.filter(at => performance.now() - at < withinMs);
		return this.#recent.length >= mostHeals;
	}
}

/** A directory that may not be looked into any more has lost us the file too. */
function isIntact(keeper: LockKeeper): boolean {
	try {
		return keeper.isIntact();
	} catch {
		return false;
	}
}

/** While it is being replaced a directory is absent for a moment, in which nobody can take the address. */
async function returnOf(directory: DirectoryOf, isStopped: () => boolean): Promise<void> {
	const deadline = performance.now() + absenceMs;
	while (directory.state === 'absent' && !isStopped() && performance.now() < deadline)
		await new Promise(resolve => setTimeout(resolve, absencePollMs).unref());
}

function lossOf(
	address: Address,
	keeper: LockKeeper | undefined,
	directory: DirectoryOf,
	cause?: unknown,
): BindLockError {
	if (directory.state !== 'same') return directoryLost(address, directory.path, cause);
	return keeper !== undefined && !isIntact(keeper)
		? lockLost(address, keeper.path, cause)
		: addressLost(address, cause);
}

function directoryLost(address: Address, path: string, cause: unknown): BindLockError {
	return new BindLockError(
		`The address ${printable(address.given)} is lost: its directory ${printable(path)} was moved, removed or replaced while the address was held, so another server may take it`,
		{code: 'ERR_ADDRESS_LOST', address: address.given, path, cause},
	);
}

function lockLost(address: Address, path: string, cause: unknown): BindLockError {
	return new BindLockError(
		`The lock of ${printable(address.given)} is lost: ${printable(path)} was removed or replaced while it was held, so another server may take the address`,
		{code: 'ERR_LOCK_LOST', address: address.given, path, cause},
	);
}

function addressLost(address: Address, cause: unknown): BindLockError {
	return new BindLockError(
		`The address ${printable(address.given)} is lost: its socket file was removed or replaced, so this server is masked`,
		{code: 'ERR_ADDRESS_LOST', address: address.given, cause},
	);
}
