/**
 * Deadlines that grow with the load of the machine: a test that works never comes near one.
 */
import {availableParallelism, loadavg} from 'node:os';

/** How long a test waits on an idle machine for something that takes milliseconds. */
export const patienceMs = 20_000;

/** Below ava's own limit, which ends the whole file. */
const mostMs = 240_000;

/** What takes this long at the most on an idle machine, at the present load. To be asked again when it is over. */
export function atLoad(milliseconds: number): number {
	const [runnable = 0] = loadavg();
	const scaled = milliseconds * Math.max(1, runnable / availableParallelism());
	return Math.round(Math.min(scaled, Math.max(milliseconds, mostMs)));
}

/** Whether the time is up that began then, by `performance.now()`. */
export function isLate(began: number, milliseconds: number = patienceMs): boolean {
	const elapsedMs = performance.now() - began;
	return elapsedMs > milliseconds && elapsedMs > atLoad(milliseconds);
}

/** @param milliseconds on an idle machine */
export async function withDeadline<Result>(
	promise: Promise<Result>,
	milliseconds: number = patienceMs,
): Promise<Result> {
	const began = performance.now();
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setInterval(() => {
			if (isLate(began, milliseconds)) reject(new Error(`not done after ${Math.round(performance.now() - began)} ms`));
		}, 50);
	});
	try {
		return await Promise.race([promise, late]);
	} finally {
		clearInterval(timer);
	}
}

/** Waits until something holds that nobody announces, looking often. */
export async function until(what: () => boolean | Promise<boolean>, description: string): Promise<void> {
	const began = performance.now();
	while (!(await what())) {
		if (isLate(began)) throw new Error(`never came: ${description}`);
		await new Promise(resolve => setTimeout(resolve, 2));
	}
}
