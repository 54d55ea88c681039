/**
 * Exponential backoff.
 */

/** Returns the pause after this many failures: doubled by each after the first, up to a limit. */
export function backoffMs(failures: number, firstMs: number, longestMs: number = Number.POSITIVE_INFINITY): number {
	return failures === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** (failures - 1));
}
