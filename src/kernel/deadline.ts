/**
 * Waiting: for an event, a deadline or an abort; for other work of the event loop.
 */

import {maxBlockMs} from './interruptible.js';

/** The longest delay of `setTimeout`, 24.8 days. A longer one fires at once. */
export const longestTimerMs: number = 0x7fff_ffff;

/** Returns the milliseconds until the deadline (of `performance.now()`), at least 0. */
export function timeLeft(deadline: number): number {
	return Math.max(0, deadline - performance.now());
}

/**
 * Waits for an event, for the deadline, or for the signal.
 *
 * @param listen receives the function to call on the event
 * @returns `true` for the event, `false` for the deadline
 * @throws the signal's reason
 */
export function wakeable(
	deadline: number,
	signal: AbortSignal | undefined,
	listen: (wake: () => void) => void,
): Promise<boolean> {
	return new Promise((resolve, reject) => {
		signal?.throwIfAborted();
		let timer: NodeJS.Timeout;
		const arm = (): void => {
			timer = setTimeout(expire, Math.min(Math.ceil(timeLeft(deadline)), longestTimerMs));
		};
		// A timer may fire a millisecond early, and one of weeks is armed several times.
		const expire = (): void => (timeLeft(deadline) > 0 ? arm() : settle(() => resolve(false)));
		const abort = (): void => settle(() => reject(signal?.reason));
		const settle = (outcome: () => void): void => {
			clearTimeout(timer);
			signal?.removeEventListener('abort', abort);
			outcome();
		};
		arm();
		signal?.addEventListener('abort', abort, {once: true});
		listen(() => settle(() => resolve(true)));
	});
}

/** @throws the signal's reason */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
	await wakeable(performance.now() + milliseconds, signal, () => {});
}

/** Returns 50 to 150 % of the time, so that processes that wait for the same event do not act at the same moment. */
export function jittered(milliseconds: number): number {
	return milliseconds * (0.5 + Math.random());
}

/** Returns a function to await in a long loop. It lets the event loop run if the last time was long enough ago. */
export function breather(): () => Promise<void> | undefined {
	let began = performance.now();
	return () => {
		if (performance.now() - began < maxBlockMs) return undefined;
		return new Promise(resolve => {
			setImmediate(() => {
				began = performance.now();
				resolve();
			});
		});
	};
}
