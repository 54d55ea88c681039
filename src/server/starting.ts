/**
 * What can call `listen` off before its server is bound.
 */
import type {Server} from 'node:net';
import {BindLockError} from '../model/errors.js';
import {printable} from '../model/text.js';
import {holdPending} from './pending-listen.js';

/** From the call until the server is bound: its `close()` calls that off, as an abort does. */
export class Starting {
	readonly #calledOff = new AbortController();
	readonly #signal: AbortSignal | undefined;
	readonly #settle: () => boolean;

	constructor(server: Server, address: string, signal: AbortSignal | undefined) {
		this.#signal = signal;
		if (signal?.aborted) this.#abort();
		signal?.addEventListener('abort', this.#abort);
		this.#settle = holdPending(server, undefined, () => {
			this.#calledOff.abort(
				new BindLockError(`Cannot listen on ${printable(address)}: the server was closed`, {
					code: 'ERR_SERVER_NOT_RUNNING',
					address,
				}),
			);
		});
	}

	/** Aborts by either. */
	get signal(): AbortSignal {
		return this.#calledOff.signal;
	}

	readonly #abort = (): void => this.#calledOff.abort(this.#signal?.reason);

	end(): void {
		this.#signal?.removeEventListener('abort', this.#abort);
		this.#settle();
	}
}
