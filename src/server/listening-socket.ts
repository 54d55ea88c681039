/**
 * The listening socket of a server at a locked address: bound, shared, bound again, and closed without removing another
 * server's file.
 */

import type {Server} from 'node:net';
import {refuseElsewhere} from '../kernel/address-parser.js';
import {isClusterWorker} from '../kernel/node/cluster.js';
import {
	adoptListener,
	bindServer,
	closeServer,
	descriptorOf,
	detachListener,
	holdConnections,
	interceptClose,
	listenerOf,
	listenOnDescriptor,
	stopListening,
} from '../kernel/node/net-server.js';
import {NodeSystem} from '../kernel/node-system.js';
import {type BoundDescriptor, bindApart, closeUnused, listenerOn} from '../kernel/sockets/bound-descriptor.js';
import {changeSocketMode} from '../kernel/sockets/socket-mode.js';
import {removerOf} from '../lock/claim.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {run, runSync} from '../model/driver.js';
import {BindLockError, systemCodeOf} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import type {ListenOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {printable, show} from '../model/text.js';
import {closeSocket, closeSocketByLibuv} from '../protocol/close.js';

import {lockInHand, reclaim} from '../protocol/stale.js';

/**
 * `'closed'`: not listening. `'apart'`: listening on a socket of {@link bindApart}, whose close unlinks nothing.
 * `'libuv'`: bound by the listening handle itself, whose close unlinks the path. `'shared'`: another process listens on
 * it too, so that a close leaves the socket file.
 */
type SocketState = 'closed' | 'apart' | 'libuv' | 'shared';

export class ListeningSocket {
	readonly #server: Server;
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #onStopped: () => void;
	/** The socket of a service manager, which has bound it. */
	readonly #passed: BoundDescriptor | undefined;
	readonly #system: NodeSystem;
	#state: SocketState = 'closed';
	#file: FileStatus | undefined;
	#rebinding: AbortController | undefined;
	#accept: () => void = () => {};

	/** @param onStopped is called when the server has stopped listening, by whatever means */
	constructor(
		server: Server,
		address: Address,
		options: ListenOptions,
		passed: BoundDescriptor | undefined,
		onStopped: () => void,
	) {
		this.#server = server;
		this.#address = address;
		this.#options = options;
		this.#passed = passed;
		this.#onStopped = onStopped;
		this.#system = new NodeSystem(address.given);
	}

	get isListening(): boolean {
		return this.#state !== 'closed';
	}

	/** The file that bind() created; an abstract address has none. */
	get file(): FileStatus | undefined {
		return this.#file;
	}

	/** The handle that Node's IPC can send. */
	get listener(): Listener | undefined {
		return listenerOf(this.#server);
	}

	/** Binds, and lets the server listen. */
	async bind(): Promise<void> {
		const bound = this.bindApart();
		if (bound !== undefined) {
			await this.#listenOn(bound);
			return;
		}
		const began = Date.now();
		const {exclusive = false} = this.#options;
		await bindServer(this.#server, {...this.#pathAndBacklog, exclusive}, () => this.attach(began));
	}

	/**
	 * Binds a socket on which the server does not listen yet.
	 *
	 * @returns `undefined` if the server has to bind by itself, as to an abstract address
	 */
	bindApart(): BoundDescriptor | undefined {
		const address = this.#address;
		refuseElsewhere(address);
		if (this.#passed !== undefined) {
			if (address.kind === 'pathname') this.#file = this.#system.lstat(address.bindPath);
			return this.#passed;
		}
		if (address.kind === 'abstract') return undefined;
		const began = Date.now();
		const bound = bindApart(address.bindPath);
		if (bound === undefined) return undefined;
		try {
			this.#file = this.#system.lstat(address.bindPath);
			this.#changeSocketMode(began);
		} catch (error) {
			// The path may lead to another file than the one that was bound.
			this.#file = undefined;
			this.abandon(bound);
			throw error;
		}
		return bound;
	}

	/** Closes a socket of {@link bindApart} on which the server does not listen. */
	abandon(bound: BoundDescriptor): void {
		// The program may try again.
		if (bound === this.#passed) return;
		this.#close('apart', {close: () => closeUnused(bound)});
		this.#file = undefined;
	}

	/** The server listens on the socket of {@link bindApart}. */
	attachApart(): void {
		this.#begin(this.#passed === undefined ? 'apart' : 'shared');
	}

	/**
	 * The server has bound by itself.
	 *
	 * @param began `Date.now()` before that
	 */
	attach(began: number): void {
		const isPathname = this.#address.kind === 'pathname';
		if (isPathname) this.#file = this.#system.lstat(this.#address.bindPath);
		this.#begin(isPathname ? 'libuv' : 'apart');
		this.#changeSocketMode(began);
	}

	/** Gives the server a socket on which another process listens. It accepts connections after {@link own}. */
	async adopt(listener: Listener): Promise<void> {
		this.#accept = holdConnections(listener, this.#pathAndBacklog.backlog);
		if (this.#address.kind === 'pathname') this.#file = this.#system.lstat(this.#address.bindPath);
		await adoptListener(this.#server, listener, this.#pathAndBacklog, () => this.#begin('shared'));
	}

	/**
	 * The other process has stopped listening: this one accepts the connections.
	 *
	 * @param isPassed whether a service manager has bound the socket: then its file stays on close
	 */
	own(isPassed: boolean): void {
		if (this.#state !== 'shared') return;
		if (!isPassed) this.#state = 'apart';
		this.#accept();
	}

	get #pathAndBacklog(): {readonly path: string; readonly backlog: number} {
		return {path: this.#address.bindPath, backlog: this.#options.backlog ?? 511};
	}

	async #listenOn(bound: BoundDescriptor): Promise<void> {
		const options = this.#pathAndBacklog;
		const onListening = (): void => this.attachApart();
		try {
			// A worker of a cluster would ask the primary to listen on the descriptor.
			if (isClusterWorker()) await adoptListener(this.#server, listenerOn(bound), options, onListening);
			else await listenOnDescriptor(this.#server, bound.descriptor, options, onListening);
		} catch (error) {
			if (!this.isListening) this.abandon(bound);
			throw error;
		}
	}

	/** Applies the options of `server.listen()`, then `socketMode`. */
	#changeSocketMode(began: number): void {
		const {readableAll, writableAll, socketMode} = this.#options;
		if (this.#address.kind === 'abstract' || !(readableAll || writableAll || socketMode !== undefined)) return;
		const added = (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
		try {
			changeSocketMode(this.#address.bindPath, began, mode => socketMode ?? mode | added);
		} catch (cause) {
			throw cannotChangeMode(this.#address, cause as Error);
		}
	}

	/** Stops listening. */
	stop(): void {
		if (!this.isListening) return;
		try {
			closeServer(this.#server);
		} catch (error) {
			process.emitWarning(`close() of the server has thrown: ${show(error)}`, 'BindLockWarning');
		}
		// A subclass may delay its close. The socket must be closed before the lock is released.
		if (this.isListening) stopListening(this.#server);
	}

	/** Stops listening, and leaves the socket to another process. */
	leave(): void {
		this.#state = 'shared';
		stopListening(this.#server);
	}

	/** Whether the path still leads to the bound file. */
	isBound(): boolean {
		if (this.#address.kind === 'abstract' || this.#file === undefined) return false;
		try {
			return isSameFile(this.#system.lstat(this.#address.path), this.#file);
		} catch {
			return false;
		}
	}

	/**
	 * Binds again after the file was removed or replaced. The lock is held, so only a free path or a stale socket is
	 * bound. Stopping the server cancels this.
	 *
	 * @param isHeld whether this process still holds the lock
	 */
	async rebind(address: PathnameAddress, isHeld: () => boolean): Promise<void> {
		refuseElsewhere(address);
		this.#rebinding = new AbortController();
		const {signal} = this.#rebinding;
		// The tables show the own socket, which has lost its file, at the path as well.
		const system = new NodeSystem(address.given, signal, descriptorOf(this.listener));
		await run(reclaim(address, removerOf(this.#options), lockInHand(isHeld)), system);
		signal.throwIfAborted();
		const listener = detachListener(this.#server);
		// The primary of a cluster owns the handle: a server without it could not pass connections on.
		if (listener === undefined) throw new Error('the listening socket belongs to a cluster');
		const state = this.#state;
		this.#state = 'closed';
		this.#close(state, listener);
		await this.bind();
	}

	#begin(state: SocketState): void {
		this.#state = state;
		interceptClose(this.#server, listener => this.#stopped(listener));
	}

	/** Is called before the handle is closed, by whatever means. */
	#stopped(listener: Listener): void {
		const state = this.#state;
		this.#state = 'closed';
		this.#rebinding?.abort();
		try {
			this.#close(state, listener);
		} finally {
			this.#onStopped();
		}
	}

	#close(state: SocketState, listener: Listener): void {
		if (this.#address.kind === 'abstract' || state === 'shared') {
			this.#system.closeListener(listener);
			return;
		}
		const close = state === 'libuv' ? closeSocketByLibuv : closeSocket;
		const left = runSync(close(this.#address, listener, this.#file), this.#system);
		if (left === undefined) return;
		process.emitWarning(
			`The file of another server is left at ${printable(left)}, because its path was taken meanwhile`,
			'BindLockWarning',
		);
	}
}

function cannotChangeMode(address: Address, cause: Error): BindLockError {
	return new BindLockError(`Cannot set the mode of the socket ${printable(address.given)}: ${cause.message}`, {
		code: systemCodeOf(cause),
		address: address.given,
		syscall: 'chmod',
		cause,
	});
}
