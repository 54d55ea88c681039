/**
 * Guards the files of a lock and of its server: notices that another program removes or replaces them, creates them
 * again where that is allowed, and reports a loss.
 */
import {pause} from '../kernel/deadline.js';
import {DirectoryIdentity} from '../kernel/files/directory-identity.js';
import {watchFiles} from '../kernel/files/inotify.js';
import type {LockFile} from '../lock/address-lock.js';
import {type Loss, publish} from '../lock/loss.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {BindLockError, codeOf} from '../model/errors.js';
import {printable} from '../model/text.js';

/** More heals within this time mean that a program keeps deleting the files. */
const mostHeals = 10;
const healsWithinMs = 60_000;

/** How long a server in a worker thread may set the socket file aside while it closes. */
const asideMs = 20;

/** How long the directory may be absent while it is replaced. */
const absenceMs = 1000;
const absencePollMs = 20;

/** Which files are removed or replaced. */
interface MissingFiles {
	readonly lock: boolean;
	readonly socket: boolean;
	readonly any: boolean;
}

/**
 * Watches a lock file without healing it, and reports its loss.
 *
 * @returns stops watching
 */
export function watchLockFile(address: Address, lockFile: LockFile, loss: Loss): () => void {
	const directory = new DirectoryIdentity(lockFile.path);
	let checking = false;
	let stopped = false;
	const check = async (): Promise<void> => {
		if (checking || isInPlace(lockFile)) return;
		checking = true;
		await directoryReturns(directory, () => stopped);
		checking = false;
		if (!stopped && !isInPlace(lockFile)) loss.report(lossOf(address, lockFile, directory));
	};
	const stopWatching = watchFiles(directory, [lockFile.path], () => void check());
	return () => {
		stopped = true;
		stopWatching();
	};
}

/** The files of a listening server. */
interface GuardedServer {
	readonly address: PathnameAddress;
	/** `undefined` for a lease, which notices its loss itself. */
	readonly lockFile: LockFile | undefined;
	/** Whether the path still leads to the socket file that the server bound. */
	isBound(): boolean;
	/** Binds again under the held lock. Throws if another server has taken the path. */
	rebind(): Promise<void>;
	/** Whether files are created again. */
	readonly heals: boolean;
	readonly loss: Loss;
	onHealed(): void;
	/** Is called after the loss was reported. */
	onLost(): void;
}

/** Watches both files of a server, and heals them. */
export class FileGuard {
	readonly #server: GuardedServer;
	/** The directory when the watches were set up. */
	#directory!: DirectoryIdentity;
	#stopWatching = (): void => {};
	#isHealing = false;
	#healedAt: number[] = [];
	#stopped = false;

	constructor(server: GuardedServer) {
		this.#server = server;
		this.#start();
	}

	stop(): void {
		this.#stopped = true;
		this.#stopWatching();
	}

	#start(): void {
		this.#stopWatching();
		if (this.#stopped) return;
		const {lockFile, address} = this.#server;
		this.#directory = new DirectoryIdentity(address.path);
		const paths = lockFile === undefined ? [address.path] : [lockFile.path, address.path];
		this.#stopWatching = watchFiles(this.#directory, paths, () => void this.#check());
	}

	async #check(): Promise<void> {
		// A lost lease: another server may have taken the address.
		if (this.#server.loss.happened) this.stop();
		if (this.#isHealing || this.#stopped || !this.#missing().any) return;
		this.#isHealing = true;
		try {
			await pause(asideMs);
			await directoryReturns(this.#directory, () => this.#stopped);
			const missing = this.#missing();
			if (missing.any && !this.#stopped && !this.#server.loss.happened) await this.#heal(missing);
		} finally {
			this.#isHealing = false;
		}
		// Events during this check were ignored.
		await this.#check();
	}

	async #heal(missing: MissingFiles): Promise<void> {
		const {lockFile, heals, loss, address} = this.#server;
		try {
			if (!heals || this.#healsTooOften()) throw undefined;
			if (lockFile === undefined && this.#directory.state !== 'same') throw new Error('the lease is gone');
			// The lock first: nothing may be bound without it.
			if (missing.lock && lockFile !== undefined) await this.#create('lock', () => lockFile.relock());
			if (missing.socket && !this.#stopped) await this.#create('socket', () => this.#server.rebind());
			// Watches follow inodes: the new files need new ones.
			this.#start();
		} catch (cause) {
			if (this.#stopped) return;
			// The lock file was removed while the socket was bound: the next check begins with the lock.
			if (codeOf(cause) === 'ERR_LOCK_LOST') return;
			this.stop();
			loss.report(lossOf(address, lockFile, this.#directory, cause));
			this.#server.onLost();
		}
	}

	#missing(): MissingFiles {
		const {lockFile} = this.#server;
		const lock = lockFile !== undefined && !isInPlace(lockFile);
		const socket = !this.#server.isBound();
		return {lock, socket, any: lock || socket};
	}

	async #create(what: 'lock' | 'socket', create: () => Promise<void>): Promise<void> {
		await create();
		this.#healedAt.push(performance.now());
		this.#server.onHealed();
		publish('bindlock:healed', {address: this.#server.address.given, what});
	}

	#healsTooOften(): boolean {
		this.#healedAt = this.#healedAt.filter(at => performance.now() - at < healsWithinMs);
		return this.#healedAt.length >= mostHeals;
	}
}

/** A lock file whose directory may not be searched any more counts as gone. */
function isInPlace(lockFile: LockFile): boolean {
	try {
		return lockFile.isInPlace();
	} catch {
		return false;
	}
}

/** Waits while the directory is absent. A program may be replacing it, and no server can take the address meanwhile. */
async function directoryReturns(directory: DirectoryIdentity, isStopped: () => boolean): Promise<void> {
	const deadline = performance.now() + absenceMs;
	while (directory.state === 'absent' && !isStopped() && performance.now() < deadline)
		await new Promise(resolve => setTimeout(resolve, absencePollMs).unref());
}

function lossOf(
	address: Address,
	lockFile: LockFile | undefined,
	directory: DirectoryIdentity,
	cause?: unknown,
): BindLockError {
	const name = printable(address.given);
	if (directory.state !== 'same') {
		return new BindLockError(
			`The address ${name} is lost: its directory ${printable(directory.path)} was moved, removed or replaced while the address was held, so another server may take it`,
			{code: 'ERR_ADDRESS_LOST', address: address.given, path: directory.path, cause},
		);
	}
	if (lockFile !== undefined && !isInPlace(lockFile)) {
		return new BindLockError(
			`The lock of ${name} is lost: ${printable(lockFile.path)} was removed or replaced while it was held, so another server may take the address`,
			{code: 'ERR_LOCK_LOST', address: address.given, path: lockFile.path, cause},
		);
	}
	return new BindLockError(
		`The address ${name} is lost: its socket file was removed or replaced, so this server is masked`,
		{code: 'ERR_ADDRESS_LOST', address: address.given, cause},
	);
}
