/**
 * A server and the lock of its address: bound, guarded, offered to a successor, drained, and released together.
 */
import type {Server} from 'node:net';
import {isTransferable} from '../kernel/node/net-server.js';
import type {BoundDescriptor} from '../kernel/sockets/bound-descriptor.js';
import type {AddressLock} from '../lock/address-lock.js';
import type {Loss} from '../lock/loss.js';
import type {OwnedLock} from '../lock/owned-lock.js';
import {type Address, keyOf} from '../model/address.js';
import {addressInUse, BindLockError, codeOf, systemCodeOf} from '../model/errors.js';
import type {ListenOptions} from '../model/options.js';
import {printable} from '../model/text.js';
import {Drain} from './drain.js';
import {FileGuard} from './file-guard.js';
import {ListeningSocket} from './listening-socket.js';
import {OwnedServerLock, type ServerLock} from './server-lock.js';
import type {InheritedSocket, Offer} from './socket-transfer.js';

/** Returns the server of a lock of {@link listen}. */
export function boundServerOf(lock: OwnedLock): BoundServer | undefined {
	return servers.get(lock);
}

const servers: WeakMap<OwnedLock, BoundServer> = new WeakMap();

/**
 * `'inherited'`: the predecessor serves, and this process will. `'serving'`: this process serves alone. `'offered'`: it
 * serves, and its files are not healed until the successor has decided. `'left'`: the successor serves. `'released'`: the
 * lock is gone.
 */
type ServerState = 'inherited' | 'serving' | 'offered' | 'left' | 'released';

export class BoundServer {
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #lock: AddressLock;
	readonly #loss: Loss;
	readonly #owned: OwnedServerLock;
	readonly #socket: ListeningSocket;
	readonly #drain: Drain;
	#state: ServerState = 'serving';
	#guard: FileGuard | undefined;
	#onRelease: (() => void) | undefined;

	/** @param passed the socket of the address, if a service manager has bound it */
	constructor(
		server: Server,
		address: Address,
		options: ListenOptions,
		lock: AddressLock,
		loss: Loss,
		passed: BoundDescriptor | undefined,
	) {
		this.#address = address;
		this.#options = options;
		this.#lock = lock;
		this.#loss = loss;
		const owner = {release: () => this.#release(), exit: () => this.#exit()};
		this.#drain = new Drain(server, address.given, options.drainMs);
		this.#socket = new ListeningSocket(server, address, options, passed, () => this.#finish());
		this.#owned = new OwnedServerLock(address, lock.reclaimed, loss, owner, this.#drain, this.#socket);
		servers.set(this.#owned, this);
	}

	/**
	 * Binds the server, or lets it listen on the socket of its predecessor.
	 *
	 * @param cancelled may have aborted since the lock was taken
	 * @throws BindLockError; the lock is released then
	 */
	async start(inherited: InheritedSocket | undefined, cancelled: AbortSignal): Promise<ServerLock> {
		if (inherited !== undefined) this.#state = 'inherited';
		try {
			cancelled.throwIfAborted();
			if (inherited === undefined) await this.#socket.bind();
			else await this.#inherit(inherited);
		} catch (error) {
			inherited?.fail(error);
			this.#release();
			cancelled.throwIfAborted();
			throw error instanceof BindLockError ? error : cannotBind(this.#address, error);
		}
		this.#drain.prepare();
		this.#startGuard();
		return this.#owned;
	}

	/**
	 * Binds a socket for a server whose own `listen` is called next.
	 *
	 * @returns `undefined` if the server has to bind by itself
	 */
	bindApart(): BoundDescriptor | undefined {
		try {
			return this.#socket.bindApart();
		} catch (error) {
			this.#release();
			throw error;
		}
	}

	/**
	 * Lets the server listen by its own `listen`, which may fail later and emit an error.
	 *
	 * @param bound the result of {@link bindApart}
	 */
	startBy(server: Server, bound: BoundDescriptor | undefined, listen: () => void): void {
		const began = Date.now();
		try {
			listen();
		} finally {
			if (!server.listening) {
				if (bound !== undefined) this.#socket.abandon(bound);
				this.#release();
			}
		}
		if (!server.listening) return;
		try {
			if (bound === undefined) this.#socket.attach(began);
			else this.#socket.attachApart();
		} catch (error) {
			this.#release();
			throw error;
		}
		this.#drain.prepare();
		this.#startGuard();
	}

	async #inherit(inherited: InheritedSocket): Promise<void> {
		await this.#socket.adopt(inherited.listener, inherited.isPassed);
		inherited.checkFile(this.#socket.file);
		this.#onRelease = () => inherited.fail(new Error('it has stopped listening'));
		// Not awaited: the predecessor stops when all its addresses are served, and the caller may listen on others next.
		void this.#becomeAlone(inherited);
	}

	async #becomeAlone(inherited: InheritedSocket): Promise<void> {
		if (!(await inherited.complete()) || this.#state !== 'inherited') return;
		this.#state = 'serving';
		this.#onRelease = undefined;
		this.#socket.own();
		this.#startGuard();
	}

	/**
	 * Offers the address, the lock and the listening socket to a successor.
	 *
	 * @throws BindLockError `ERR_LOCK_NOT_HELD`, `ERR_INVALID_ARG_VALUE`, `ERR_UNSUPPORTED_PLATFORM`
	 */
	offer(): Offer {
		const {listener, file, isPassed} = this.#socket;
		const address = this.#address.given;
		if (!this.#owned.held || this.#state !== 'serving' || listener === undefined) {
			throw new BindLockError(
				`The lock of ${printable(address)} cannot be handed over: it is no longer held, or a hand-over is in progress`,
				{code: 'ERR_LOCK_NOT_HELD', address},
			);
		}
		if (!isTransferable(listener)) {
			throw new BindLockError('This runtime cannot pass a listening socket to another process', {
				code: 'ERR_UNSUPPORTED_PLATFORM',
				address,
			});
		}
		const lock = this.#lock.shareable;
		if (lock === undefined) {
			throw new BindLockError(
				`The lock of ${printable(address)} cannot be handed over: a lease belongs to one process, and the lock of bindlock run --listen to bindlock (use its reload)`,
				{code: 'ERR_INVALID_ARG_VALUE', address},
			);
		}
		this.#state = 'offered';
		this.#guard?.stop();
		return {
			address,
			key: keyOf(this.#address),
			lock,
			listener,
			file,
			isPassed,
			onRelease: callback => {
				this.#onRelease = callback;
			},
			accept: drainMs => this.#leave(drainMs),
			withdraw: () => this.#stay(),
		};
	}

	#stay(): void {
		if (this.#state !== 'offered') return;
		this.#state = 'serving';
		this.#onRelease = undefined;
		this.#startGuard();
	}

	#leave(drainMs: number | undefined): void {
		if (this.#state !== 'offered') return;
		this.#state = 'left';
		this.#onRelease = undefined;
		this.#drain.limit(drainMs);
		this.#socket.leave();
	}

	/** Stops the server. Its stopped socket then calls {@link #finish}, as after the program's own `server.close()`. */
	#release(): void {
		this.#socket.stop();
		// A server that does not listen has no socket to stop.
		this.#finish();
	}

	/** This process exits. A successor that is about to take over the socket needs its file, as after a crash. */
	#exit(): void {
		if (this.#state !== 'offered') this.#owned.releaseNow();
	}

	/** The socket is closed: releases the lock. */
	#finish(): void {
		if (this.#state === 'released') return;
		const isShared = this.#state === 'inherited' || this.#state === 'left';
		this.#state = 'released';
		this.#guard?.stop();
		this.#owned.markReleased();
		if (isShared) this.#lock.shareable?.leave();
		else this.#lock.release(this.#socket.file === undefined);
		this.#drain.begin();
		this.#onRelease?.();
	}

	/** Guards the lock file and the socket file while this process serves alone. */
	#startGuard(): void {
		const address = this.#address;
		if (address.kind === 'abstract' || this.#state !== 'serving' || !this.#socket.isListening) return;
		const {file} = this.#lock;
		this.#guard = new FileGuard({
			address,
			lockFile: file,
			isBound: () => this.#socket.isBound(),
			rebind: () => this.#socket.rebind(address, () => this.#owned.held && (file?.isInPlace() ?? true)),
			heals: this.#options.heal ?? true,
			loss: this.#loss,
			onHealed: () => this.#owned.healed++,
			// If rebinding failed, the server listens no more, and no `server.close()` releases the lock.
			onLost: () => {
				if (!this.#socket.isListening) this.#finish();
			},
		});
	}
}

function cannotBind(address: Address, cause: unknown): BindLockError {
	if (codeOf(cause) === 'EADDRINUSE') {
		return addressInUse(address.given, {why: 'a server that takes no lock bound there a moment ago', cause});
	}
	return new BindLockError(`Cannot listen on ${printable(address.given)}: ${(cause as Error).message}`, {
		code: systemCodeOf(cause),
		address: address.given,
		syscall: (cause as NodeJS.ErrnoException).syscall,
		cause,
	});
}
