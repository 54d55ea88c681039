/**
 * Waiting for one of: an event, a deadline, an abort.
 */

/** The longest delay of `setTimeout`, 24.8 days; it fires at once after a longer one. */
export const longestTimerMs: number = 0x7fff_ffff;

/** Milliseconds until the deadline (of `performance.now()`), at least 0. */
export function timeLeft(deadline: number): number {
	return Math.max(0, deadline - performance.now());
}

/**
 * @param listen is given the function to call when the event comes
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
		// Timers may fire a millisecond too early; and who waits for weeks is woken in between.
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

/** Longer nobody else in this process is kept waiting. */
const stretchMs = 5;

/** For long work: lets others have their turn each time that it was called late enough after the last one. */
export function breather(): () => Promise<void> | undefined {
	let began = performance.now();
	return () => {
		if (performance.now() - began < stretchMs) return undefined;
		return new Promise(resolve => {
			setImmediate(() => {
				began = performance.now();
				resolve();
			});
		});
	};
}
