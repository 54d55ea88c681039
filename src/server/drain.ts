/**
 * Draining: a server that has stopped listening finishes its HTTP requests, and its clients connect to the next server.
 */
import type {Server} from 'node:net';
import {longestTimerMs} from '../kernel/deadline.js';
import {HttpConnections} from '../kernel/node/http-connections.js';
import {publish} from '../lock/loss.js';

/** The default of `drainMs`. */
const defaultDrainMs = 30_000;

/**
 * How long a connection may be without a request before it is closed as idle. The connection of a busy client is idle
 * between two requests: closing it then would cut a request that is on its way.
 */
const idleMs = 1000;

export class Drain {
	readonly #server: Server;
	readonly #address: string;
	readonly #done: Promise<number>;
	#resolve: (cut: number) => void = () => {};
	#controller: AbortController | undefined;
	#connections: HttpConnections | undefined;
	#limitMs: number;
	#hasBegun = false;
	#timers: readonly NodeJS.Timeout[] = [];

	/** @param address the address as it was given */
	constructor(server: Server, address: string, drainMs: number = defaultDrainMs) {
		this.#server = server;
		this.#address = address;
		this.#limitMs = drainMs;
		this.#done = new Promise(resolve => {
			this.#resolve = resolve;
		});
	}

	/** See `ServerLock.drained`. */
	get done(): Promise<number> {
		return this.#done;
	}

	/** See `ServerLock.drainSignal`. The signal is created on first use. */
	get signal(): AbortSignal {
		this.#controller ??= new AbortController();
		if (this.#hasBegun) this.#controller.abort();
		return this.#controller.signal;
	}

	/** The server listens: its requests are observed from now on. */
	prepare(): void {
		this.#connections = new HttpConnections(this.#server);
	}

	/** Sets another `drainMs`, if it is given. */
	limit(drainMs: number | undefined): void {
		this.#limitMs = drainMs ?? this.#limitMs;
	}

	/** The server has stopped listening. */
	begin(): void {
		if (this.#hasBegun || this.#connections === undefined) return;
		this.#hasBegun = true;
		const connections = this.#connections;
		connections.end();
		// After the poll phase of the event loop, in which libuv reads the requests that have arrived.
		const closeIdle = (): NodeJS.Immediate => setImmediate(() => connections.closeIdle());
		const cut = async (): Promise<void> => {
			settle();
			this.#resolve(await connections.closeAll());
		};
		const end = (): void => {
			settle();
			this.#resolve(0);
		};
		const settle = (): void => {
			for (const timer of this.#timers) clearTimeout(timer);
			this.#server.off('close', end).off('listening', end);
			connections.detach();
		};
		// A server that listens again has new connections, which Node does not distinguish from the old ones.
		this.#server.once('close', end).once('listening', end);
		this.#timers = [setInterval(closeIdle, idleMs)];
		if (this.#limitMs <= longestTimerMs) this.#timers = [...this.#timers, setTimeout(cut, this.#limitMs)];
		for (const timer of this.#timers) timer.unref();
		publish('bindlock:drain', {address: this.#address});
		this.#controller?.abort();
	}
}
