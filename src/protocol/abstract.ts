/**
 * The protocol for abstract names. The kernel frees such a name with its socket, so none is ever stale. A second name,
 * `<name>.lock`, is bound for the holder's lifetime: it excludes other servers before they bind, it identifies the
 * holder, and it can be waited for.
 */
import type {AbstractAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {addressInUse, type BindLockError} from '../model/errors.js';
import {describeHolder} from '../model/holder.js';
import type {LockSocket, LockSocketHolder} from '../model/system.js';
import {Backoff, type Contended, cannotReplace, Waiting} from './holder-wait.js';
import {exitingProcessMs, refuseIfBound} from './liveness.js';
import type {Claim} from './lock-file.js';

/** Takes the lock of a name, and checks that no server is bound to either spelling of the name. */
export function* takeAbstract(address: AbstractAddress, claim: Claim): Protocol<LockSocket> {
	const waiting = new Waiting(claim.patience);
	const socket = yield* bindLock(address, claim, waiting);
	let kept = false;
	try {
		// Node 20 pads the name to 108 bytes and Node 22 does not. They are two addresses to the kernel and one to the
		// server's author (R12). A server that takes no lock may be bound to either.
		yield* refuseIfBound(address, () => call('boundAbstract', address.name), {crashed: waiting.begun});
		kept = true;
		return socket;
	} finally {
		if (!kept) yield* call('closeLockSocket', socket);
	}
}

function* bindLock(address: AbstractAddress, claim: Claim, waiting: Waiting): Protocol<LockSocket> {
	const contended: Contended = {
		address: address.given,
		wait: deadline => call('awaitLockSocket', address.lockName, deadline),
		signal: (holder, signal) => call('signalLockSocketHolder', address.lockName, holder, signal),
	};
	const backoff = new Backoff();
	let by: LockSocketHolder | undefined;
	for (;;) {
		const socket = yield* call('bindLockSocket', address.lockName, claim.record());
		if (socket !== undefined) return socket;
		// All waiters wake up when a holder exits. The search for the holder is for the first attempt only.
		if (!waiting.begun) by = yield* call('lockSocketHolder', address.lockName);
		// Bound, but no process has the socket open: its process is exiting, or has exited since.
		if (by?.holder === undefined && (yield* backoff.within(exitingProcessMs))) continue;
		if (by?.bindlock === false && claim.patience.replace !== undefined) {
			throw cannotReplace(address.given, 'ERR_HOLDER_UNVERIFIED', `${squatted} ${describe(by)}`, by.holder);
		}
		if (yield* waiting.for(by?.holder, contended)) continue;
		if (waiting.begun) by = yield* call('lockSocketHolder', address.lockName);
		throw nameInUse(address, by, waiting.waitedMs);
	}
}

const squatted = 'its lock name is bound, not by bindlock but by';

function describe({holder}: LockSocketHolder): string {
	return holder === undefined ? 'a process that is not visible here' : describeHolder(holder);
}

/**
 * The error of a name whose lock is held. Any process may bind an abstract name: one that does not answer like bindlock
 * is reported as a squatter.
 */
export function nameInUse(
	address: AbstractAddress,
	by: LockSocketHolder | undefined,
	waitedMs?: number,
): BindLockError {
	if (by?.holder === undefined) {
		return addressInUse(address.given, {why: 'its lock is held by a process that is not visible here', waitedMs});
	}
	const why = by.bindlock === false ? squatted : 'held by';
	return addressInUse(address.given, {holder: by.holder, why, waitedMs});
}
