/**
 * The loss of a lock or of its address, and who is told.
 */
import type {BindLockError} from '../model/errors.js';

/** Whether a lock or its address was lost, and why. */
export class Loss {
	#controller: AbortController | undefined;
	#reason: BindLockError | undefined;
	#tell: ((reason: BindLockError) => void) | undefined;
	#startWatching: (() => () => void) | undefined;
	#stopWatching: (() => void) | undefined;

	get happened(): boolean {
		return this.#reason !== undefined;
	}

	/** Made when first asked for, as is the watch: they cost more than the lock, and most locks need neither. */
	get signal(): AbortSignal {
		this.#controller ??= new AbortController();
		if (this.#reason !== undefined) this.#controller.abort(this.#reason);
		else this.#stopWatching ??= this.#startWatching?.();
		return this.#controller.signal;
	}

	/** @param tell is called at once, or when it is reported */
	whenReported(tell: (reason: BindLockError) => void): void {
		this.#tell = tell;
		if (this.#reason !== undefined) tell(this.#reason);
	}

	watchWhenAsked(start: () => () => void): void {
		this.#startWatching = start;
	}

	stopWatching(): void {
		this.#startWatching = undefined;
		this.#stopWatching?.();
		this.#stopWatching = undefined;
	}

	/** Only the first reason counts. */
	report(reason: BindLockError): void {
		if (this.#reason !== undefined) return;
		this.#reason = reason;
		this.stopWatching();
		publish('bindlock:lost', {address: reason.address, error: reason});
		this.#controller?.abort(reason);
		this.#tell?.(reason);
	}
}

/** What happens to a lock, for whoever observes: see docs/held-for-life.md. */
export function publish(channel: 'bindlock:lost' | 'bindlock:healed', message: object): void {
	const diagnostics = process.getBuiltinModule('node:diagnostics_channel');
	if (diagnostics.hasSubscribers(channel)) diagnostics.channel(channel).publish(message);
}
