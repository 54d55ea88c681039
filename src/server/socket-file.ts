/**
 * The socket file of a locked address: bound, given its mode, recognized, and closed without removing another server's
 * file.
 */
import {refuseElsewhere} from '../kernel/address-parser.js';
import {NodeSystem} from '../kernel/node-system.js';
import {type BoundDescriptor, bindApart, closeUnused} from '../kernel/sockets/bound-descriptor.js';
import {removerOf} from '../lock/claim.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {run, runSync} from '../model/driver.js';
import {codeOf} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import type {AcquireOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {printable} from '../model/text.js';
import {closeSocket, closeSocketByLibuv} from '../protocol/close.js';
import {lockInHand, reclaim} from '../protocol/stale.js';
import {applyPermissions, type SocketPermissions} from './socket-permissions.js';

/**
 * `'apart'`: the socket of {@link bindApart}, whose close unlinks nothing. `'libuv'`: the listening handle itself has bound
 * the path, and its close unlinks the path. `'shared'`: another process listens on the socket too, so its file stays.
 */
export type SocketClose = 'apart' | 'libuv' | 'shared';

export class SocketFile {
	readonly #address: Address;
	readonly #permissions: SocketPermissions;
	readonly #system: NodeSystem;
	#status: FileStatus | undefined;

	constructor(address: Address, permissions: SocketPermissions) {
		this.#address = address;
		this.#permissions = permissions;
		this.#system = new NodeSystem(address.given);
	}

	/** The file that bind() created; an abstract address has none. */
	get status(): FileStatus | undefined {
		return this.#status;
	}

	/** Takes the file that is at the path now for the bound one. */
	find(): void {
		if (this.#address.kind === 'pathname') this.#status = this.#system.lstat(this.#address.bindPath);
	}

	/**
	 * Binds a socket that does not listen yet.
	 *
	 * @returns `undefined` in worker threads and in runtimes other than Node: see {@link bindApart}
	 */
	bind(): BoundDescriptor | undefined {
		const began = Date.now();
		const bound = bindApart(this.#address.bindPath);
		if (bound === undefined) return undefined;
		try {
			this.find();
			this.setPermissions(began);
		} catch (error) {
			// The path leads to another file than the one that was bound.
			if (codeOf(error) === 'ERR_ADDRESS_LOST') this.#status = undefined;
			this.abandon(bound);
			throw error;
		}
		return bound;
	}

	/** @param began `Date.now()` before the bind */
	setPermissions(began: number): void {
		applyPermissions(this.#address, this.#permissions, began);
	}

	/** Closes a socket of {@link bind} on which no server listens. */
	abandon(bound: BoundDescriptor): void {
		this.close({close: () => closeUnused(bound)}, 'apart');
		this.#status = undefined;
	}

	/** Whether the path still leads to the bound file. */
	isInPlace(): boolean {
		if (this.#address.kind === 'abstract' || this.#status === undefined) return false;
		try {
			return isSameFile(this.#system.lstat(this.#address.path), this.#status);
		} catch {
			return false;
		}
	}

	/**
	 * Makes the path free for another bind, after the file was removed or replaced. The lock is held, so only a stale
	 * socket is removed.
	 *
	 * @param own descriptor of the bound socket, which the tables still show at the path
	 * @param isHeld whether this process still holds the lock
	 */
	async reclaimPath(
		address: PathnameAddress,
		options: AcquireOptions,
		own: number | undefined,
		signal: AbortSignal,
		isHeld: () => boolean,
	): Promise<void> {
		refuseElsewhere(address);
		const system = new NodeSystem(address.given, signal, own);
		await run(reclaim(address, removerOf(options), lockInHand(isHeld)), system);
		signal.throwIfAborted();
	}

	/** Closes the socket, and unlinks its file unless another process listens on it. */
	close(listener: Listener, how: SocketClose): void {
		if (this.#address.kind === 'abstract' || how === 'shared') {
			this.#system.closeListener(listener);
			return;
		}
		const close = how === 'libuv' ? closeSocketByLibuv : closeSocket;
		const left = runSync(close(this.#address, listener, this.#status), this.#system);
		if (left === undefined) return;
		process.emitWarning(
			`The file of another server is left at ${printable(left)}, because its path was taken meanwhile`,
			'BindLockWarning',
		);
	}
}
