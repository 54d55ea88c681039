/**
 * `listen`: acquire, bind, and release on close, in one call.
 */
import type {Server} from 'node:net';
import {pathnameOnly, takeAddress} from './acquire.js';
import {type PathnameAddress, parseAddress} from './address.js';
import {addressInUse, BindLockError, codeOf, printable} from './errors.js';
import {type BindLock, OwnLock} from './lock.js';
import {checkListenOptions, type ListenOptions} from './options.js';
import {call, type FileStatus, type Listener, type System} from './protocol/calls.js';
import {giveBackLock} from './protocol/lockfile.js';
import type {Taken} from './protocol/pathname.js';
import {stopServing} from './protocol/serving.js';
import {NodeSystem, runSync} from './system/node.js';
import {bindServer, interceptClose, setSocketMode} from './system/server.js';

/**
 * Takes the address, lets the server listen on it, and gives it back as soon as the server stops
 * listening; its open connections may go on. On closing, only a socket file of our own is removed.
 *
 * @param server of `node:net`, `node:http`, `node:https`, `node:http2` or a framework; not listening
 * @throws BindLockError `EADDRINUSE` if somebody else has the address, `ERR_SERVER_ALREADY_LISTEN`,
 * and others: see docs/errors.md
 *
 * @example
 * ```ts
 * const server = http.createServer(handler);
 * await listen(server, '/run/app.sock');
 * ```
 */
export async function listen(server: Server, address: string, options: ListenOptions = {}): Promise<BindLock> {
	const parsed = pathnameOnly(parseAddress(address));
	const checked = checkListenOptions(address, options);
	refuseUnlessIdleServer(server, address);
	const system = new NodeSystem(address, checked.signal);
	const taken = await takeAddress(parsed, checked, system);
	return new Serving(server, parsed, checked, taken, system).start();
}

class Serving {
	readonly #server: Server;
	readonly #address: PathnameAddress;
	readonly #options: ListenOptions;
	readonly #taken: Taken;
	readonly #system: System;
	readonly #lock: BindLock;
	#bound: FileStatus | undefined;
	#listening = false;

	constructor(server: Server, address: PathnameAddress, options: ListenOptions, taken: Taken, system: System) {
		this.#server = server;
		this.#address = address;
		this.#options = options;
		this.#taken = taken;
		this.#system = system;
		this.#lock = new OwnLock(address, taken.reclaimed, () => this.#giveBack());
	}

	async start(): Promise<BindLock> {
		const {backlog, readableAll = false, writableAll = false, socketMode} = this.#options;
		const path = this.#address.bindPath;
		try {
			await bindServer(
				this.#server,
				{path, readableAll, writableAll, ...(backlog === undefined ? {} : {backlog})},
				() => this.#onBound(),
			);
			if (socketMode !== undefined) setSocketMode(path, socketMode);
			return this.#lock;
		} catch (error) {
			await this.#lock.release();
			throw cannotBind(this.#address, error);
		}
	}

	#onBound(): void {
		this.#listening = true;
		this.#bound = runSync(call('lstat', this.#address.bindPath), this.#system);
		interceptClose(this.#server, listener => this.#stop(listener));
	}

	/** The listening socket is about to be closed, by whomever: the socket first, the lock last. */
	#stop(listener: Listener): void {
		this.#listening = false;
		const left = runSync(stopServing(this.#address, listener, this.#bound), this.#system);
		if (left !== undefined) {
			process.emitWarning(
				`Somebody's file is left at ${printable(left)}: its place was taken again meanwhile`,
				'BindLockWarning',
			);
		}
		void this.#lock.release();
	}

	#giveBack(): void {
		// Closing the server comes back here by way of #stop, with nothing left to close.
		if (this.#listening) this.#server.close();
		const {lock} = this.#taken;
		runSync(giveBackLock(this.#address.lockPath, lock, this.#options.removeLockFile ?? false), this.#system);
	}
}

function refuseUnlessIdleServer(server: Server, address: string): void {
	if (typeof server?.listen !== 'function' || typeof server.close !== 'function') {
		throw new BindLockError('The server must be a net.Server, or one of its subclasses', {
			code: 'ERR_INVALID_ARG_TYPE',
			address,
		});
	}
	if (server.listening) {
		throw new BindLockError('The server listens already; give it to listen() before that', {
			code: 'ERR_SERVER_ALREADY_LISTEN',
			address,
		});
	}
}

function cannotBind(address: PathnameAddress, cause: unknown): BindLockError {
	const code = codeOf(cause);
	if (code === 'EADDRINUSE') {
		return addressInUse(address.given, {why: 'a server that takes no lock has bound there just now', cause});
	}
	return new BindLockError(`Cannot listen on ${printable(address.path)}: ${(cause as Error).message}`, {
		code,
		address: address.given,
		syscall: (cause as NodeJS.ErrnoException).syscall,
		cause,
	});
}
