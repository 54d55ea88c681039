/**
 * The listening socket of a server at its address: how it is bound, shared with another process, watched, bound
 * again, and closed so that nobody else's file goes.
 */
import type {Server} from 'node:net';
import {type Address, type PathnameAddress, refuseElsewhere} from './address.js';
import {removerOf} from './claim.js';
import {printable, show} from './errors.js';
import type {ListenOptions} from './options.js';
import type {FileStatus, Listener} from './protocol/calls.js';
import {sameFile} from './protocol/lockfile.js';
import {reclaim} from './protocol/pathname.js';
import {stopServing, stopServingInherited} from './protocol/serving.js';
import {NodeSystem, run, runSync} from './system/node.js';
import {
	adoptListener,
	bindServer,
	type Connection,
	deliver,
	descriptorOf,
	detachListener,
	interceptClose,
	listenerOf,
	retireListener,
	setSocketMode,
	stopListening,
} from './system/server.js';
import {isOursAlone} from './system/sockets.js';

export class ListeningSocket {
	readonly #server: Server;
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #stopped: () => void;
	readonly #system: NodeSystem;
	#file: FileStatus | undefined;
	#listening = false;
	/** libuv unlinks the path only of a socket that it has bound, not of one that was handed over. */
	#inherited = false;
	/** Another process serves on it: then only our own descriptor is ours to close. */
	#shared = false;
	#left = false;
	/** What to do with connections that are accepted after that. */
	#pass: (connection: Connection) => void = connection => connection.close();

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
		const {backlog, readableAll = false, writableAll = false, exclusive = false, socketMode} = this.#options;
		const path = this.#address.bindPath;
		const options = {path, readableAll, writableAll, exclusive, ...(backlog === undefined ? {} : {backlog})};
		refuseElsewhere(this.#address);
		await bindServer(this.#server, options, () => {
			this.#onBound();
			if (socketMode !== undefined && this.#address.kind === 'pathname') setSocketMode(path, socketMode);
		});
	}

	/** The server has bound it by itself, just now. */
	attach(): void {
		this.#onBound();
	}

	/** Listens on a socket beside the process that has bound it. */
	async adopt(listener: Listener): Promise<void> {
		this.#shared = true;
		this.#inherited = true;
		const {backlog = 511} = this.#options;
		await adoptListener(this.#server, listener, {path: this.#address.bindPath, backlog}, () => this.#onBound());
	}

	/** That process does not listen on it any more. */
	own(): void {
		this.#shared = false;
	}

	/** A connection that a predecessor has accepted: served, or passed on if we have left it to a successor ourselves. */
	deliver(connection: Connection): void {
		if (this.#left) this.#pass(connection);
		else this.serve(connection);
	}

	/** Serves a connection, also when we do not listen any more. */
	serve(connection: Connection): void {
		deliver(this.#server, connection);
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

	/**
	 * Stops listening, and leaves the socket to another process.
	 *
	 * @param pass is given the connections that are accepted nevertheless
	 * @returns to be called when that process serves no more
	 */
	leave(pass: (connection: Connection) => void): () => void {
		const {listener} = this;
		const retired = !this.#inherited && this.#address.kind === 'pathname';
		this.#shared = true;
		this.#left = true;
		this.#pass = pass;
		stopListening(this.#server);
		let open = retired;
		return () => {
			// Unless that has a successor, too, the socket would look like a server, whatever lies at its path since.
			if (!open || listener === undefined || !isOursAlone(descriptorOf(listener))) return;
			open = false;
			this.#closeListener(listener);
		};
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

	/** Under the lock, which was looked at just now: only a path that leads to nothing, or to a dead socket, is bound again. */
	async rebind(address: PathnameAddress): Promise<void> {
		refuseElsewhere(address);
		// Our own socket, which has lost its file, is bound to the path as well.
		const system = new NodeSystem(address.given, undefined, descriptorOf(this.listener));
		await run(reclaim(address, removerOf(this.#options)), system);
		if (!this.#listening) return;
		const listener = detachListener(this.#server);
		// The primary of a cluster has taken it away from its server, which would not know what to do with connections.
		if (listener === undefined) throw new Error('the listening socket belongs to a cluster');
		this.#closeListener(listener);
		this.#inherited = false;
		this.#listening = false;
		await this.bind();
	}

	#onBound(): void {
		this.#listening = true;
		if (this.#address.kind === 'pathname') this.#file = this.#system.lstat(this.#address.bindPath);
		interceptClose(this.#server, listener => this.#stop(listener));
	}

	/** The socket is about to be closed, by whomever: the socket first, the lock last. */
	#stop(listener: Listener): void {
		this.#listening = false;
		try {
			if (this.#shared) this.#leaveListener(listener);
			else this.#closeListener(listener);
		} finally {
			this.#stopped();
		}
	}

	#leaveListener(listener: Listener): void {
		if (this.#inherited || this.#address.kind === 'abstract') this.#system.closeListener(listener);
		else retireListener(this.#server, this.#pass);
	}

	#closeListener(listener: Listener): void {
		if (this.#address.kind === 'abstract') {
			this.#system.closeListener(listener);
			return;
		}
		const stop = this.#inherited ? stopServingInherited : stopServing;
		const left = runSync(stop(this.#address, listener, this.#file), this.#system);
		if (left === undefined) return;
		process.emitWarning(
			`Somebody's file is left at ${printable(left)}: its place was taken again meanwhile`,
			'BindLockWarning',
		);
	}
}
