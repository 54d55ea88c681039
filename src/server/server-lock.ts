/**
 * The lock of a server of `listen`, as its owner sees it.
 */
import type {Loss} from '../lock/loss.js';
import {type BindLock, OwnedLock, type Owner} from '../lock/owned-lock.js';
import type {Address} from '../model/address.js';
import type {Drain} from './drain.js';

/** The lock of a server of {@link listen}. It is released when the server stops listening. */
export interface ServerLock extends BindLock {
	/**
	 * Whether the server listens on a socket that the service manager has bound (`LISTEN_FDS`), such as a `.socket` unit of
	 * systemd. Its file is neither removed nor healed.
	 */
	readonly inherited: boolean;
	/**
	 * Aborts when the server stops listening, for any reason: a hand-over, a release, `server.close()`, a loss. bindlock
	 * then drains HTTP connections. Connections of `node:net` and upgraded ones (WebSocket) are left to the program, which
	 * can tell these clients to connect again.
	 */
	readonly drainSignal: AbortSignal;
	/**
	 * Resolves with the number of HTTP connections that were cut after `drainMs`: 0 if all connections ended earlier.
	 * Never rejects; stays pending while the server listens.
	 */
	readonly drained: Promise<number>;
}

export class OwnedServerLock extends OwnedLock implements ServerLock {
	readonly #drain: Drain;
	readonly #socket: {readonly isPassed: boolean};

	constructor(
		address: Address,
		reclaimed: boolean,
		loss: Loss,
		owner: Owner,
		drain: Drain,
		socket: {readonly isPassed: boolean},
	) {
		super(address, reclaimed, loss, owner, true);
		this.#drain = drain;
		this.#socket = socket;
	}

	get inherited(): boolean {
		return this.#socket.isPassed;
	}

	get drainSignal(): AbortSignal {
		return this.#drain.signal;
	}

	get drained(): Promise<number> {
		return this.#drain.done;
	}
}
