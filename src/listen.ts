/**
 * `listen`: acquire, bind, and release on close, in one call.
 */
import type {Server} from 'node:net';
import {type TakenAddress, takeAddress} from './acquire.js';
import {type Address, type PathnameAddress, parseAddress} from './address.js';
import {addressInUse, BindLockError, codeOf, printable} from './errors.js';
import {type BindLock, Loss, OwnLock} from './lock.js';
import {checkListenOptions, type ListenOptions} from './options.js';
import type {FileStatus, Listener} from './protocol/calls.js';
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
	const parsed = parseAddress(address);
	const checked = checkListenOptions(address, options);
	refuseUnlessIdleServer(server, address);
	const loss = new Loss();
	const taken = await takeAddress(parsed, checked, loss);
	return new Serving(server, parsed, checked, taken, loss).start();
}

class Serving {
	readonly #server: Server;
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #taken: TakenAddress;
	readonly #system: NodeSystem;
	readonly #lock: BindLock;
	#bound: FileStatus | undefined;
	#listening = false;

	constructor(server: Server, address: Address, options: ListenOptions, taken: TakenAddress, loss: Loss) {
		this.#server = server;
		this.#address = address;
		this.#options = options;
		this.#taken = taken;
		this.#system = new NodeSystem(address.given);
		this.#lock = new OwnLock(address, taken.reclaimed, loss, () => this.#giveBack());
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
			if (socketMode !== undefined && this.#address.kind === 'pathname') setSocketMode(path, socketMode);
			return this.#lock;
		} catch (error) {
			await this.#lock.release();
			throw cannotBind(this.#address, error);
		}
	}

	#onBound(): void {
		this.#listening = true;
		if (this.#address.kind === 'pathname') this.#bound = this.#system.lstat(this.#address.bindPath);
		interceptClose(this.#server, listener => this.#stop(listener));
	}

	/** The listening socket is about to be closed, by whomever: the socket first, the lock last. */
	#stop(listener: Listener): void {
		this.#listening = false;
		if (this.#address.kind === 'pathname') this.#stopPathname(this.#address, listener);
		else this.#system.closeListener(listener);
		void this.#lock.release();
	}

	#stopPathname(address: PathnameAddress, listener: Listener): void {
		const left = runSync(stopServing(address, listener, this.#bound), this.#system);
		if (left !== undefined) {
			process.emitWarning(
				`Somebody's file is left at ${printable(left)}: its place was taken again meanwhile`,
				'BindLockWarning',
			);
		}
	}

	#giveBack(): void {
		// Closing the server comes back here by way of #stop, with nothing left to close.
		if (this.#listening) this.#server.close();
		this.#taken.giveBack();
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

function cannotBind(address: Address, cause: unknown): BindLockError {
	const code = codeOf(cause);
	if (code === 'EADDRINUSE') {
		return addressInUse(address.given, {why: 'a server that takes no lock has bound there just now', cause});
	}
	return new BindLockError(`Cannot listen on ${printable(address.given)}: ${(cause as Error).message}`, {
		code,
		address: address.given,
		syscall: (cause as NodeJS.ErrnoException).syscall,
		cause,
	});
}
