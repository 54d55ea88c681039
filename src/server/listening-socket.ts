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
	listensOnDescriptors,
	stopListening,
} from '../kernel/node/net-server.js';
import {type BoundDescriptor, listenerOn} from '../kernel/sockets/bound-descriptor.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {BindLockError} from '../model/errors.js';
import type {ListenOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {show} from '../model/text.js';
import {type SocketClose, SocketFile} from './socket-file.js';

/** `'closed'`: not listening. Otherwise how the socket is closed. */
type SocketState = 'closed' | SocketClose;

/** An HTTP server of Bun would ignore the socket, and listen on a TCP port. */
function cannotListenOnPassed({given: address}: Address): BindLockError {
	return new BindLockError(
		'An HTTP server of this runtime cannot listen on a socket that a service manager has bound',
		{
			code: 'ERR_UNSUPPORTED_PLATFORM',
			address,
		},
	);
}

export class ListeningSocket {
	readonly #server: Server;
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #onStopped: () => void;
	/** The socket of a service manager, which has bound it. */
	readonly #passed: BoundDescriptor | undefined;
	readonly #file: SocketFile;
	#state: SocketState = 'closed';
	#isPassed: boolean;
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
		this.#isPassed = passed !== undefined;
		this.#onStopped = onStopped;
		this.#file = new SocketFile(address, options);
	}

	get isListening(): boolean {
		return this.#state !== 'closed';
	}

	/** Whether a service manager has bound the socket, so that its file stays on close. */
	get isPassed(): boolean {
		return this.#isPassed;
	}

	/** The file that bind() created; an abstract address has none. */
	get file(): FileStatus | undefined {
		return this.#file.status;
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
	 * @returns `undefined` if the server has to bind by itself, as to an abstract address, or as an HTTP server of Bun
	 */
	bindApart(): BoundDescriptor | undefined {
		const address = this.#address;
		refuseElsewhere(address);
		if (this.#passed !== undefined) {
			if (!listensOnDescriptors(this.#server)) throw cannotListenOnPassed(address);
			this.#file.find();
			return this.#passed;
		}
		if (address.kind === 'abstract' || !listensOnDescriptors(this.#server)) return undefined;
		return this.#file.bind();
	}

	/** Closes a socket of {@link bindApart} on which the server does not listen. */
	abandon(bound: BoundDescriptor): void {
		// The program may try again with a passed socket.
		if (bound !== this.#passed) this.#file.abandon(bound);
	}

	/** The server listens on the socket of {@link bindApart}. */
	attachApart(): void {
		this.#begin(this.#isPassed ? 'shared' : 'apart');
	}

	/**
	 * The server has bound by itself.
	 *
	 * @param began `Date.now()` before that
	 */
	attach(began: number): void {
		this.#file.find();
		this.#begin(this.#address.kind === 'pathname' ? 'libuv' : 'apart');
		this.#file.setPermissions(began);
	}

	/**
	 * Gives the server a socket on which another process listens. It accepts connections after {@link own}.
	 *
	 * @param isPassed see {@link ListeningSocket.isPassed}
	 */
	async adopt(listener: Listener, isPassed: boolean): Promise<void> {
		this.#isPassed = isPassed;
		this.#accept = holdConnections(listener, this.#pathAndBacklog.backlog);
		this.#file.find();
		await adoptListener(this.#server, listener, this.#pathAndBacklog, () => this.#begin('shared'));
	}

	/** The other process has stopped listening: this one accepts the connections. */
	own(): void {
		if (this.#state !== 'shared') return;
		if (!this.#isPassed) this.#state = 'apart';
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
		return this.#file.isInPlace();
	}

	/**
	 * Binds again after the file was removed or replaced. The lock is held, so only a free path or a stale socket is
	 * bound. Stopping the server cancels this.
	 *
	 * @param isHeld whether this process still holds the lock
	 */
	async rebind(address: PathnameAddress, isHeld: () => boolean): Promise<void> {
		if (this.#isPassed) throw new Error('the service manager has bound the socket, and alone can bind it again');
		this.#rebinding = new AbortController();
		const own = descriptorOf(this.listener);
		await this.#file.reclaimPath(address, this.#options, own, this.#rebinding.signal, isHeld);
		const listener = detachListener(this.#server);
		// The primary of a cluster owns the handle: a server without it could not pass connections on. An HTTP server of Bun
		// has no handle.
		if (listener === undefined) throw new Error('the server does not give its listening socket away');
		const state = this.#state;
		this.#state = 'closed';
		if (state !== 'closed') this.#file.close(listener, state);
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
			if (state !== 'closed') this.#file.close(listener, state);
		} finally {
			this.#onStopped();
		}
	}
}
