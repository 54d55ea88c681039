/**
 * Deadlines that grow with the load of the machine, so that a correct test never reaches one.
 */
import {availableParallelism, loadavg} from 'node:os';

/** The deadline, on an idle machine, for an event that takes milliseconds. */
export const patienceMs = 20_000;

/** Less than ava's timeout, which ends the whole file. */
const mostMs = 240_000;

/** Scales a deadline for an idle machine to the current load. Call it again after the deadline, because the load changes. */
export function atLoad(milliseconds: number): number {
	const [runnable = 0] = loadavg();
	const scaled = milliseconds * Math.max(1, runnable / availableParallelism());
	return Math.round(Math.min(scaled, Math.max(milliseconds, mostMs)));
}

/** Returns whether the deadline has passed since `began`, a time of `performance.now()`. */
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

/** Polls until a condition holds, or throws at the deadline. */
export async function until(what: () => boolean | Promise<boolean>, description: string): Promise<void> {
	const began = performance.now();
	while (!(await what())) {
		if (isLate(began)) throw new Error(`never came: ${description}`);
		await new Promise(resolve => setTimeout(resolve, 2));
	}
}
