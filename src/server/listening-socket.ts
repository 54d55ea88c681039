/**
 * The listening socket of a server at its address: how it is bound, shared with another process, watched, bound
 * again, and closed so that nobody else's file goes.
 */
import type {Server} from 'node:net';
import {refuseElsewhere} from '../kernel/address-parser.js';
import {type BoundSocket, bindApart, changeMode, closeUnused, listenerOn} from '../kernel/bound-handle.js';
import {isClusterWorker} from '../kernel/cluster.js';
import {
	adoptListener,
	bindServer,
	descriptorOf,
	detachListener,
	interceptClose,
	listenerOf,
	listenOnDescriptor,
	stopListening,
} from '../kernel/net-server.js';
import {NodeSystem} from '../kernel/node-system.js';
import {removerOf} from '../lock/claim.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {BindLockError, systemCodeOf} from '../model/errors.js';
import type {ListenOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {run, runSync} from '../model/system.js';
import {printable, show} from '../model/text.js';
import {stopServing, stopServingByLibuv} from '../protocol/close.js';
import {sameFile} from '../protocol/lock-file.js';
import {holdingWhile, reclaim} from '../protocol/stale.js';

export class ListeningSocket {
	readonly #server: Server;
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #stopped: () => void;
	readonly #system: NodeSystem;
	#file: FileStatus | undefined;
	#listening = false;
	/** libuv has bound the path by the listening handle itself, and will unlink it (see `bindApart`). */
	#libuvUnlinks = false;
	/** Another process serves on it: then only our own descriptor is ours to close. */
	#shared = false;
	/** Aborted when the socket is about to be closed: calls off what is right only as long as it is ours. */
	readonly #ended = new AbortController();

	/** @param stopped is called when the server has stopped listening, whoever did that */
	constructor(server: Server, address: Address, options: ListenOptions, stopped: () => void) {
		this.#server = server;
		this.#address = address;
		this.#options = options;
		this.#stopped = stopped;
		this.#system = new NodeSystem(address.given);
	}

	get listening(): boolean {
		return this.#listening;
	}

	/** The file that was bound; an abstract address has none. */
	get file(): FileStatus | undefined {
		return this.#file;
	}

	/** As Node's IPC sends it. */
	get listener(): Listener | undefined {
		return listenerOf(this.#server);
	}

	async bind(): Promise<void> {
		const {backlog = 511, exclusive = false} = this.#options;
		const bound = this.bindApart();
		if (bound !== undefined) {
			await this.#listenOn(bound);
			return;
		}
		const began = Date.now();
		await bindServer(this.#server, {path: this.#address.bindPath, exclusive, backlog}, () => this.attach(began));
	}

	/**
	 * Binds, apart from the server, which does not listen yet.
	 *
	 * @returns `undefined` if the server has to bind by itself: an abstract address, or where `bindApart` cannot
	 */
	bindApart(): BoundSocket | undefined {
		const address = this.#address;
		refuseElsewhere(address);
		if (address.kind === 'abstract') return undefined;
		const began = Date.now();
		const bound = bindApart(address.bindPath);
		if (bound === undefined) return undefined;
		try {
			this.#file = this.#system.lstat(address.bindPath);
			this.#changeMode(began);
		} catch (error) {
			// What lies there may not be what was bound.
			this.#file = undefined;
			this.abandon(bound);
			throw error;
		}
		return bound;
	}

	/** The server does not listen on what `bindApart` has bound. */
	abandon(bound: BoundSocket): void {
		this.#closeListener({close: () => closeUnused(bound)});
		this.#file = undefined;
	}

	/** The server listens on what `bindApart` has bound. */
	attachApart(): void {
		this.#onListening();
	}

	/**
	 * The server has bound by itself, just now.
	 *
	 * @param began `Date.now()` before that
	 */
	attach(began: number): void {
		this.#libuvUnlinks = this.#address.kind === 'pathname';
		if (this.#libuvUnlinks) this.#file = this.#system.lstat(this.#address.bindPath);
		this.#onListening();
		this.#changeMode(began);
	}

	/** Listens on a socket beside the process that has bound it. */
	async adopt(listener: Listener): Promise<void> {
		this.#shared = true;
		if (this.#address.kind === 'pathname') this.#file = this.#system.lstat(this.#address.bindPath);
		const {backlog = 511} = this.#options;
		const options = {path: this.#address.bindPath, backlog};
		await adoptListener(this.#server, listener, options, () => this.#onListening());
	}

	/** That process does not listen on it any more. */
	own(): void {
		this.#shared = false;
	}

	async #listenOn(bound: BoundSocket): Promise<void> {
		const {backlog = 511} = this.#options;
		const options = {path: this.#address.bindPath, backlog};
		const onListening = (): void => this.#onListening();
		try {
			// In a worker of a cluster Node would ask the primary for that descriptor.
			if (isClusterWorker()) await adoptListener(this.#server, listenerOn(bound), options, onListening);
			else await listenOnDescriptor(this.#server, bound.descriptor, options, onListening);
		} catch (error) {
			if (!this.#listening) this.abandon(bound);
			throw error;
		}
	}

	/** As `server.listen()` does it with the options of Node, and then by ours. */
	#changeMode(began: number): void {
		const {readableAll, writableAll, socketMode} = this.#options;
		if (this.#address.kind === 'abstract' || !(readableAll || writableAll || socketMode !== undefined)) return;
		const added = (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
		try {
			changeMode(this.#address.bindPath, began, mode => socketMode ?? mode | added);
		} catch (cause) {
			throw cannotChangeMode(this.#address, cause as Error);
		}
	}

	/** Stops listening. */
	close(): void {
		if (!this.#listening) return;
		try {
			this.#server.close();
		} catch (error) {
			process.emitWarning(`close() of the server has thrown: ${show(error)}`, 'BindLockWarning');
		}
		// A close() of its own that waits for something: the socket has to go before the lock all the same.
		if (this.#listening) stopListening(this.#server);
	}

	/** Stops listening, and leaves the socket to another process. */
	leave(): void {
		this.#shared = true;
		stopListening(this.#server);
	}

	/** Whether the file that we bound is still at the path. */
	isBound(): boolean {
		if (this.#address.kind === 'abstract' || this.#file === undefined) return false;
		try {
			return sameFile(this.#system.lstat(this.#address.path), this.#file);
		} catch {
			return false;
		}
	}

	/**
	 * Under the lock: only a path that leads to nothing, or to a dead socket, is bound again. Called off by the end of
	 * this socket.
	 *
	 * @param isHeld whether the lock is still ours
	 */
	async rebind(address: PathnameAddress, isHeld: () => boolean): Promise<void> {
		refuseElsewhere(address);
		const {signal} = this.#ended;
		// Our own socket, which has lost its file, is bound to the path as well.
		const system = new NodeSystem(address.given, signal, descriptorOf(this.listener));
		await run(reclaim(address, removerOf(this.#options), holdingWhile(isHeld)), system);
		signal.throwIfAborted();
		const listener = detachListener(this.#server);
		// The primary of a cluster has taken it away from its server, which would not know what to do with connections.
		if (listener === undefined) throw new Error('the listening socket belongs to a cluster');
		this.#closeListener(listener);
		this.#libuvUnlinks = false;
		this.#listening = false;
		await this.bind();
	}

	#onListening(): void {
		this.#listening = true;
		interceptClose(this.#server, listener => this.#stop(listener));
	}

	/** The socket is about to be closed, by whomever: the socket first, the lock last. */
	#stop(listener: Listener): void {
		this.#listening = false;
		this.#ended.abort();
		try {
			if (this.#shared) this.#system.closeListener(listener);
			else this.#closeListener(listener);
		} finally {
			this.#stopped();
		}
	}

	#closeListener(listener: Listener): void {
		if (this.#address.kind === 'abstract') {
			this.#system.closeListener(listener);
			return;
		}
		const stop = this.#libuvUnlinks ? stopServingByLibuv : stopServing;
		const left = runSync(stop(this.#address, listener, this.#file), this.#system);
		if (left === undefined) return;
		process.emitWarning(
			`Somebody's file is left at ${printable(left)}: its place was taken again meanwhile`,
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
