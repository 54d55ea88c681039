/**
 * The interface of every way to call flock(2), which Node does not offer.
 */

/**
 * Calls `flock(LOCK_EX|LOCK_NB)`, or `flock(LOCK_SH|LOCK_NB)` if `shared`.
 *
 * @returns whether this process has the lock now
 * @throws an error made by {@link flockError}, for any failure other than contention
 */
export type Flock = (descriptor: number, shared?: boolean) => boolean;

/** Marks an error as one of flock(2): the protocol tells it from errors of other system calls by `syscall`. */
export function flockError(error: Error, code?: string): Error {
	return Object.assign(error, {syscall: 'flock'}, code === undefined ? {} : {code});
}
