/**
 * Actions whose failure is expected, and whose error does not matter.
 */

/** Returns the result of the action; `undefined` if it throws. */
export function attempt<Result>(action: () => Result): Result | undefined {
	try {
		return action();
	} catch {
		return undefined;
	}
}
