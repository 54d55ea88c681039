/**
 * Waiting for a flock without the kernel's queue: tries again and again, at most 50 ms apart.
 */
import {timeLeft} from '../deadline.js';
import type {Flock} from './flock.js';

/** Parameters, result and errors as of `awaitFlock`. */
export async function pollFlock(
	descriptor: number,
	deadline: number,
	flock: Flock,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const {default: pRetry} = await import('p-retry');
	const busy = new Error('busy');
	const attempt = (): void => {
		if (!flock(descriptor)) throw busy;
	};
	try {
		await pRetry(attempt, {
			retries: Number.POSITIVE_INFINITY,
			minTimeout: 2,
			factor: 1.3,
			maxTimeout: 50,
			randomize: true,
			maxRetryTime: timeLeft(deadline),
			shouldRetry: ({error}) => error === busy,
			...(signal === undefined ? {} : {signal}),
		});
		return true;
	} catch (error) {
		if (error === busy) return false;
		throw error;
	}
}
