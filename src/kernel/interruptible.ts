/**
 * Long lookups that do not block the event loop: servers acquire addresses while they serve others.
 */

/** A computation that yields wherever other work of this process may come first. */
export type Interruptible<Result> = Generator<undefined, Result, unknown>;

/** The longest that a lookup blocks the event loop, in milliseconds; a single system call may take longer. */
export const maxBlockMs = 2;

/** Set while a caller needs the result synchronously. */
let mayBlock = false;

/**
 * Runs a computation: at once if that takes no longer than {@link maxBlockMs}, as on most machines; otherwise in pieces,
 * between which the event loop runs.
 */
export function inPieces<Result>(work: Interruptible<Result>): Result | Promise<Result> {
	const end = performance.now() + maxBlockMs;
	for (;;) {
		const step = work.next();
		if (step.done) return step.value;
		if (!mayBlock && performance.now() > end) return continued(work);
	}
}

async function continued<Result>(work: Interruptible<Result>): Promise<Result> {
	await new Promise(resolve => setImmediate(resolve));
	return inPieces(work);
}

/** Runs a computation at once, however long that takes. */
export function atOnce<Result>(work: Interruptible<Result>): Result {
	for (;;) {
		const step = work.next();
		if (step.done) return step.value;
	}
}

/** Makes {@link inPieces} run everything at once during an action, for callers that are synchronous. */
export function blocking<Result>(action: () => Result): Result {
	mayBlock = true;
	try {
		return action();
	} finally {
		mayBlock = false;
	}
}
