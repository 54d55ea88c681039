/**
 * `listen`: acquire, bind, and release on close, in one call.
 */
import type {Server} from 'node:net';
import {type TakenAddress, takeAddress} from './acquire.js';
import {type Address, type PathnameAddress, parseAddress} from './address.js';
import {addressInUse, BindLockError, codeOf, printable, withoutControls} from './errors.js';
import {type BindLock, Loss, OwnLock} from './lock.js';
import {checkListenOptions, type ListenOptions} from './options.js';
import type {FileStatus, Listener} from './protocol/calls.js';
import {isStillAt} from './protocol/lockfile.js';
import {reclaim} from './protocol/pathname.js';
import {stopServing} from './protocol/serving.js';
import {NodeSystem, run, runSync} from './system/node.js';
import {bindServer, detachListener, interceptClose, setSocketMode} from './system/server.js';
import {Watch} from './watch.js';

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
	readonly #loss: Loss;
	readonly #system: NodeSystem;
	readonly #lock: OwnLock;
	#bound: FileStatus | undefined;
	#listening = false;
	#watch: Watch | undefined;

	constructor(server: Server, address: Address, options: ListenOptions, taken: TakenAddress, loss: Loss) {
		this.#server = server;
		this.#address = address;
		this.#options = options;
		this.#taken = taken;
		this.#loss = loss;
		this.#system = new NodeSystem(address.given);
		this.#lock = new OwnLock(address, taken.reclaimed, loss, () => this.#giveBack());
	}

	async start(): Promise<BindLock> {
		try {
			await this.#bind();
		} catch (error) {
			this.#lock.releaseNow();
			throw cannotBind(this.#address, error);
		}
		this.#watch = this.#startWatching(this.#address);
		return this.#lock;
	}

	async #bind(): Promise<void> {
		const {backlog, readableAll = false, writableAll = false, socketMode} = this.#options;
		const path = this.#address.bindPath;
		await bindServer(this.#server, {path, readableAll, writableAll, ...(backlog === undefined ? {} : {backlog})}, () =>
			this.#onBound(),
		);
		if (socketMode !== undefined && this.#address.kind === 'pathname') setSocketMode(path, socketMode);
	}

	#onBound(): void {
		this.#listening = true;
		if (this.#address.kind === 'pathname') this.#bound = this.#system.lstat(this.#address.bindPath);
		interceptClose(this.#server, listener => this.#stop(listener));
	}

	/** The listening socket is about to be closed, by whomever: the socket first, the lock last. */
	#stop(listener: Listener): void {
		this.#listening = false;
		this.#watch?.stop();
		try {
			this.#closeListener(listener);
		} finally {
			this.#lock.releaseNow();
		}
	}

	#closeListener(listener: Listener): void {
		if (this.#address.kind === 'abstract') {
			this.#system.closeListener(listener);
			return;
		}
		const left = runSync(stopServing(this.#address, listener, this.#bound), this.#system);
		if (left === undefined) return;
		process.emitWarning(
			`Somebody's file is left at ${printable(left)}: its place was taken again meanwhile`,
			'BindLockWarning',
		);
	}

	#giveBack(): void {
		// Closing the server comes back here by way of #stop, with nothing left to close.
		if (this.#listening) this.#server.close();
		this.#watch?.stop();
		this.#taken.giveBack();
	}

	/** Both files, for as long as we serve. */
	#startWatching(address: Address): Watch | undefined {
		if (address.kind === 'abstract' || !this.#listening) return undefined;
		return new Watch({
			address,
			keeper: this.#taken.keeper,
			isBound: () => this.#isBound(address),
			rebind: () => this.#rebind(address),
			heals: this.#options.heal ?? true,
			loss: this.#loss,
			healed: () => this.#lock.healed++,
		});
	}

	#isBound(address: PathnameAddress): boolean {
		if (this.#bound === undefined) return false;
		try {
			return runSync(isStillAt(address.path, this.#bound), this.#system) !== undefined;
		} catch {
			return false;
		}
	}

	/** Under the lock, which was looked at just now: only a path that leads to nothing, or to a dead socket, is bound again. */
	async #rebind(address: PathnameAddress): Promise<void> {
		await run(reclaim(address, process.geteuid?.() ?? -1), this.#system);
		if (!this.#listening) return;
		const listener = detachListener(this.#server);
		if (listener !== undefined) this.#closeListener(listener);
		await this.#bind();
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
	return new BindLockError(
		`Cannot listen on ${printable(address.given)}: ${withoutControls((cause as Error).message)}`,
		{
			code,
			address: address.given,
			syscall: (cause as NodeJS.ErrnoException).syscall,
			cause,
		},
	);
}
