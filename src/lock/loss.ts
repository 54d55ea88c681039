/**
 * The loss of a lock or of its address, and how the program hears of it.
 */
import type {BindLockError} from '../model/errors.js';

/** Whether a lock or its address was lost, and why. */
export class Loss {
	#controller: AbortController | undefined;
	#reason: BindLockError | undefined;
	#onReport: ((reason: BindLockError) => void) | undefined;
	#startWatching: (() => () => void) | undefined;
	#stopWatching: (() => void) | undefined;

	get happened(): boolean {
		return this.#reason !== undefined;
	}

	/** Aborts with the reason. The signal and the watch are created on first use, because they cost more than the lock. */
	get signal(): AbortSignal {
		this.#controller ??= new AbortController();
		if (this.#reason !== undefined) this.#controller.abort(this.#reason);
		else this.#stopWatching ??= this.#startWatching?.();
		return this.#controller.signal;
	}

	/** Sets the callback for the loss; calls it at once if that has happened. */
	onReport(callback: (reason: BindLockError) => void): void {
		this.#onReport = callback;
		if (this.#reason !== undefined) callback(this.#reason);
	}

	/** Sets what starts to watch the lock file when {@link signal} is first used, and returns how to stop. */
	watchOnUse(start: () => () => void): void {
		this.#startWatching = start;
	}

	stopWatching(): void {
		this.#startWatching = undefined;
		this.#stopWatching?.();
		this.#stopWatching = undefined;
	}

	/** Reports the loss. Only the first report counts. */
	report(reason: BindLockError): void {
		if (this.#reason !== undefined) return;
		this.#reason = reason;
		this.stopWatching();
		publish('bindlock:lost', {address: reason.address, error: reason});
		this.#controller?.abort(reason);
		this.#onReport?.(reason);
	}
}

/** Publishes to a diagnostics channel (docs/diagnostics.md). */
export function publish(channel: 'bindlock:lost' | 'bindlock:healed' | 'bindlock:drain', message: object): void {
	const diagnostics = process.getBuiltinModule('node:diagnostics_channel');
	if (diagnostics.hasSubscribers(channel)) diagnostics.channel(channel).publish(message);
}
