/**
 * A server between `listen()` and its bind, while its address is being taken. It neither listens nor is idle.
 */
import type {Server} from 'node:net';
import {BindLockError} from '../model/errors.js';
import {printable} from '../model/text.js';

/** The pending `listen()` of each server. */
const pending: WeakMap<Server, object> = new WeakMap();

/** Whether a `listen()` of this server is pending. */
export function isPending(server: Server): boolean {
	return pending.has(server);
}

/**
 * Marks the server as pending. Until it is settled, `server.close()` cancels the `listen()` and emits `'close'`, as it
 * does for a server that listens.
 *
 * @param signal calls `server.close()` when it aborts, as Node does with the signal of `server.listen()`
 * @param onCancel is called by `server.close()`
 * @returns settles the `listen()`; the function returns `false` if it was cancelled
 */
export function holdPending(server: Server, signal: AbortSignal | undefined, onCancel: () => void): () => boolean {
	const call = {};
	pending.set(server, call);
	const hadOwn = Object.hasOwn(server, 'close');
	const close = server.close;
	const abort = (): void => void server.close();
	const restore = (): void => {
		pending.delete(server);
		signal?.removeEventListener('abort', abort);
		if (hadOwn) server.close = close;
		else delete (server as Partial<Server>).close;
	};
	server.close = callback => {
		restore();
		onCancel();
		if (callback !== undefined) server.once('close', () => callback());
		process.nextTick(() => server.emit('close'));
		return server;
	};
	if (signal?.aborted) process.nextTick(() => pending.get(server) === call && abort());
	signal?.addEventListener('abort', abort);
	return () => {
		const isStillPending = pending.get(server) === call;
		if (isStillPending) restore();
		return isStillPending;
	};
}

/** The pending `listen()` of the function of that name: `server.close()` and an abort both cancel it. */
export class PendingListen {
	readonly #cancelled = new AbortController();
	readonly #signal: AbortSignal | undefined;
	readonly #settle: () => boolean;

	constructor(server: Server, address: string, signal: AbortSignal | undefined) {
		this.#signal = signal;
		if (signal?.aborted) this.#abort();
		signal?.addEventListener('abort', this.#abort);
		this.#settle = holdPending(server, undefined, () => {
			this.#cancelled.abort(
				new BindLockError(`Cannot listen on ${printable(address)}: the server was closed`, {
					code: 'ERR_SERVER_NOT_RUNNING',
					address,
				}),
			);
		});
	}

	/** Aborts on either. */
	get signal(): AbortSignal {
		return this.#cancelled.signal;
	}

	readonly #abort = (): void => this.#cancelled.abort(this.#signal?.reason);

	settle(): void {
		this.#signal?.removeEventListener('abort', this.#abort);
		this.#settle();
	}
}
