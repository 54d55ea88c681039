/**
 * A server and its lock as one: bound, watched, handed over and released together.
 */
import type {Server} from 'node:net';
import type {BoundSocket} from '../kernel/bound-handle.js';
import type {Loss} from '../lock/loss.js';
import {type BindLock, OwnLock} from '../lock/owned-lock.js';
import type {TakenAddress} from '../lock/take.js';
import {type Address, keyOf} from '../model/address.js';
import {addressInUse, BindLockError, codeOf, systemCodeOf} from '../model/errors.js';
import type {ListenOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {printable} from '../model/text.js';
import {Watch} from './file-guard.js';
import {ListeningSocket} from './listening-socket.js';

/** A socket file, as it is told to another process. */
export interface FileIdentity {
	readonly dev: string;
	readonly ino: string;
}

/** A listening socket that another process serves, until this one serves it. */
export interface InheritedSocket {
	readonly listener: Listener;
	/**
	 * @param found the file at the path
	 * @throws BindLockError if that process has bound another one
	 */
	checkFile(found: FileStatus | undefined): void;
	/** Tells that process that this one serves, and waits until it has stopped. `false`: this process gave up. */
	complete(): Promise<boolean>;
	/** Tells that process to go on. */
	fail(error: unknown): void;
}

/** What a successor needs to serve in the place of a server. */
export interface Offer {
	/** As it was given. */
	readonly address: string;
	readonly key: string;
	/** Of the lock file. */
	readonly descriptor: number | undefined;
	/** An abstract lock. */
	readonly lockSocket: Listener | undefined;
	readonly listener: Listener;
	readonly file: FileIdentity | undefined;
	/** Calls back when the lock is released before the offer is accepted or withdrawn. */
	whenReleased(tell: () => void): void;
	/** The successor serves: we stop. */
	accept(): void;
	/** We go on. */
	withdraw(): void;
}

/** The server of a lock that {@link listen} has taken. */
export function boundServerOf(lock: OwnLock): Serving | undefined {
	return servers.get(lock);
}

const servers: WeakMap<OwnLock, Serving> = new WeakMap();

export class Serving {
	readonly #address: Address;
	readonly #options: ListenOptions;
	readonly #taken: TakenAddress;
	readonly #loss: Loss;
	readonly #lock: OwnLock;
	readonly #socket: ListeningSocket;
	#watch: Watch | undefined;
	/** Neither before a predecessor has left, nor after a successor came. */
	#alone = true;
	#offered = false;
	#releasedMeanwhile: (() => void) | undefined;

	constructor(server: Server, address: Address, options: ListenOptions, taken: TakenAddress, loss: Loss) {
		this.#address = address;
		this.#options = options;
		this.#taken = taken;
		this.#loss = loss;
		this.#lock = new OwnLock(address, taken.reclaimed, loss, {giveBack: () => this.#giveBack()}, true);
		this.#socket = new ListeningSocket(server, address, options, () => this.#lock.releaseNow());
		servers.set(this.#lock, this);
	}

	/**
	 * @param succession if there is a predecessor whose socket this is to be
	 * @param calledOff may have been aborted since the address was taken
	 */
	async start(succession: InheritedSocket | undefined, calledOff?: AbortSignal): Promise<BindLock> {
		this.#alone = succession === undefined;
		try {
			calledOff?.throwIfAborted();
			if (succession === undefined) await this.#socket.bind();
			else await this.#succeed(succession);
		} catch (error) {
			succession?.fail(error);
			this.#lock.releaseNow();
			calledOff?.throwIfAborted();
			throw error instanceof BindLockError ? error : cannotBind(this.#address, error);
		}
		if (this.#alone) this.#startWatching();
		return this.#lock;
	}

	/**
	 * Binds, for a server whose own `listen` is called next.
	 *
	 * @returns `undefined` if the server has to bind by itself
	 */
	bindApart(): BoundSocket | undefined {
		try {
			return this.#socket.bindApart();
		} catch (error) {
			this.#lock.releaseNow();
			throw error;
		}
	}

	/**
	 * Lets the server listen by its own `listen`, which may leave it not listening, and have it say why.
	 *
	 * @param bound what `bindApart` has bound
	 */
	startBy(server: Server, bound: BoundSocket | undefined, listen: () => void): void {
		const began = Date.now();
		try {
			listen();
		} finally {
			if (!server.listening) {
				if (bound !== undefined) this.#socket.abandon(bound);
				this.#lock.releaseNow();
			}
		}
		if (!server.listening) return;
		try {
			if (bound === undefined) this.#socket.attach(began);
			else this.#socket.attachApart();
		} catch (error) {
			this.#lock.releaseNow();
			throw error;
		}
		this.#startWatching();
	}

	/** Serves beside the predecessor, until that has left. */
	async #succeed(succession: InheritedSocket): Promise<void> {
		await this.#socket.adopt(succession.listener);
		succession.checkFile(this.#socket.file);
		this.#releasedMeanwhile = () => succession.fail(new Error('it has stopped listening'));
		// Not awaited: the predecessor leaves when all of its addresses are served, and our caller may
		// have others to listen on after this one.
		void this.#becomeAlone(succession);
	}

	async #becomeAlone(succession: InheritedSocket): Promise<void> {
		if (!(await succession.complete())) return;
		this.#alone = true;
		this.#releasedMeanwhile = undefined;
		this.#socket.own();
		this.#startWatching();
	}

	#giveBack(): void {
		// Comes back here by way of the stopped server, with nothing left to close.
		this.#socket.close();
		this.#watch?.stop();
		if (this.#alone) this.#taken.giveBack(this.#socket.file === undefined);
		else this.#taken.leaveTo?.();
		this.#releasedMeanwhile?.();
	}

	offer(): Offer {
		const {listener, file} = this.#socket;
		const address = this.#address.given;
		if (!this.#lock.held || !this.#alone || this.#offered || listener === undefined) {
			throw new BindLockError(
				`The lock of ${printable(address)} cannot be handed over: it is not held any more, or is being handed over`,
				{code: 'ERR_LOCK_NOT_HELD', address},
			);
		}
		const {descriptor, lockSocket} = this.#taken;
		if (descriptor === undefined) {
			throw new BindLockError('A lease cannot be handed over: it belongs to one process', {
				code: 'ERR_INVALID_ARG_VALUE',
				address,
			});
		}
		this.#offered = true;
		this.#watch?.stop();
		return {
			address,
			key: keyOf(this.#address),
			descriptor: lockSocket === undefined ? descriptor : undefined,
			lockSocket,
			listener,
			file: file && {dev: String(file.dev), ino: String(file.ino)},
			whenReleased: tell => {
				this.#releasedMeanwhile = tell;
			},
			accept: () => this.#leave(),
			withdraw: () => this.#stay(),
		};
	}

	#stay(): void {
		this.#offered = false;
		this.#releasedMeanwhile = undefined;
		if (this.#lock.held) this.#startWatching();
	}

	#leave(): void {
		this.#releasedMeanwhile = undefined;
		this.#alone = false;
		this.#socket.leave();
	}

	/** Where it could not be bound again, no `close()` of the server leads to the lock any more. */
	#releaseUnlessListening(): void {
		if (!this.#socket.listening) this.#lock.releaseNow();
	}

	/** Both files, for as long as we serve. */
	#startWatching(): void {
		const address = this.#address;
		if (address.kind === 'abstract' || !this.#socket.listening) return;
		const {keeper} = this.#taken;
		this.#watch = new Watch({
			address,
			keeper,
			isBound: () => this.#socket.isBound(),
			rebind: () => this.#socket.rebind(address, () => this.#lock.held && (keeper?.isIntact() ?? true)),
			heals: this.#options.heal ?? true,
			loss: this.#loss,
			healed: () => this.#lock.healed++,
			lost: () => this.#releaseUnlessListening(),
		});
	}
}

function cannotBind(address: Address, cause: unknown): BindLockError {
	const code = codeOf(cause);
	if (code === 'EADDRINUSE') {
		return addressInUse(address.given, {why: 'a server that takes no lock has bound there just now', cause});
	}
	return new BindLockError(`Cannot listen on ${printable(address.given)}: ${(cause as Error).message}`, {
		code: systemCodeOf(cause),
		address: address.given,
		syscall: (cause as NodeJS.ErrnoException).syscall,
		cause,
	});
}
