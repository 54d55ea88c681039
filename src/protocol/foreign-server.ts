/**
 * Servers that take no lock, and are bound to the address all the same.
 */
import {addressInUse} from '../model/errors.js';
import {type Bound, call, type Protocol} from '../model/system.js';

/**
 * A process that dies may lose its lock before its sockets: then it has no descriptors any more, so
 * that nobody can be named, and is gone in a moment.
 */
export const dyingPatienceMs = 100;

/** How long that moment can be where a process is known to have died, on a busy machine. */
const deathPatienceMs = 1000;

/**
 * Throws EADDRINUSE if `look` finds a process bound to the address, unless it is about to be gone.
 *
 * @param crashed the last holder did, or has ended just now: it may have its sockets a moment longer than its lock
 * @param isAskedNext whether the socket itself is asked next, so that what the tables leave open is left to that
 */
export function* refuseIfBound(
	address: {readonly given: string},
	look: () => Protocol<Bound | undefined>,
	{crashed = false, isAskedNext = false}: {readonly crashed?: boolean; readonly isAskedNext?: boolean} = {},
): Protocol<void> {
	const patienceMs = crashed ? deathPatienceMs : dyingPatienceMs;
	let waitedMs = 0;
	for (let pauseMs = 1; ; pauseMs *= 2) {
		const bound = yield* look();
		if (bound === undefined) return;
		if (bound.holder !== undefined && (!crashed || waitedMs >= patienceMs)) {
			throw addressInUse(address.given, {holder: bound.holder, why: 'bound without a lock by'});
		}
		if (waitedMs >= patienceMs) {
			if (isAskedNext && !bound.isCertain) return;
			throw addressInUse(address.given, {
				why: 'a process that cannot be seen from here is bound to it, and takes no lock',
			});
		}
		yield* call('pause', pauseMs);
		waitedMs += pauseMs;
	}
}
