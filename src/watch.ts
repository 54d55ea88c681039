/**
 * A lock is worth what it is worth at the last minute of a server that has run for a year: notice
 * that its files are removed or replaced, heal what may be healed, and report what is lost.
 */

import type {Address, PathnameAddress} from './address.js';
import {BindLockError, printable} from './errors.js';
import {type Loss, publish} from './lock.js';
import {watchFile} from './system/watcher.js';
import type {LockKeeper} from './taking.js';

/** Something keeps deleting: then it is not for us to keep making. */
const mostHeals = 10;
const withinMs = 60_000;

const momentMs = 5;

/** Which of the files is not ours any more. */
interface Gone {
	readonly lock: boolean;
	readonly socket: boolean;
	readonly any: boolean;
}

/** Reports the loss of a lock file; heals nothing. Returns a function that stops watching. */
export function watchLock(address: Address, keeper: LockKeeper | undefined, loss: Loss): () => void {
	if (keeper === undefined) return () => {};
	return watchFile(keeper.path, () => {
		if (!isIntact(keeper)) loss.report(lockLost(address, keeper.path));
	});
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
	#stops: (() => void)[] = [];
	#healing = false;
	#recent: number[] = [];
	#stopped = false;

	constructor(kept: Kept) {
		this.#kept = kept;
		this.#start();
	}

	stop(): void {
		this.#stopped = true;
		for (const stop of this.#stops.splice(0)) stop();
	}

	#start(): void {
		for (const stop of this.#stops.splice(0)) stop();
		if (this.#stopped) return;
		const {keeper, address} = this.#kept;
		const touched = (): void => void this.#look();
		if (keeper !== undefined) this.#stops.push(watchFile(keeper.path, touched));
		this.#stops.push(watchFile(address.path, touched));
	}

	async #look(): Promise<void> {
		// A lease is lost by its own account: then the address may be somebody else's.
		if (this.#kept.loss.happened) this.stop();
		if (this.#healing || this.#stopped || !this.#gone().any) return;
		this.#healing = true;
		try {
			// One that closes beside us sets our file aside for some microseconds: no reason to bind anew.
			await new Promise(resolve => setTimeout(resolve, momentMs));
			const gone = this.#gone();
			if (gone.any && !this.#stopped) await this.#mend(gone);
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
			// The lock first: without it nothing may be bound.
			if (lock && keeper !== undefined) await this.#heal('lock', () => keeper.retake());
			if (socket && !this.#stopped) await this.#heal('socket', () => this.#kept.rebind());
			// What happened meanwhile, and to the new files, is seen by new watches.
			this.#start();
		} catch (cause) {
			if (this.#stopped) return;
			this.stop();
			const lockLostToo = keeper !== undefined && !isIntact(keeper);
			loss.report(lockLostToo ? lockLost(address, keeper.path, cause) : addressLost(address, cause));
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

function lockLost(address: Address, path: string, cause?: unknown): BindLockError {
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
