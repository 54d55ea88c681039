/**
 * The algorithm for abstract names. The kernel forgets such a name with its socket, so nothing is
 * ever stale; what is missing is something to take before the bind, to ask, and to wait for. That
 * is a second name, `<name>.lock`, bound for the life of the holder.
 */
import type {AbstractAddress} from '../model/address.js';
import {addressInUse, type BindLockError} from '../model/errors.js';
import {describeHolder} from '../model/holder.js';
import {call, type LockSocket, type LockSocketHolder, type Protocol} from '../model/system.js';
import {dyingPatienceMs, refuseIfBound} from './foreign-server.js';
import type {Claim} from './lock-file.js';
import {cannotReplace, type Queue, Waiting} from './wait.js';

/** Takes the name: afterwards nobody is bound to it, in either spelling, and nobody who cooperates will be. */
export function* takeAbstract(address: AbstractAddress, claim: Claim): Protocol<LockSocket> {
	const waiting = new Waiting(claim.patience);
	const socket = yield* bindLock(address, claim, waiting);
	let kept = false;
	try {
		// Node 20 pads the name to 108 bytes and Node 22 does not: two addresses to the kernel, one to
		// the server's author (R12). A server may be bound to either without having the lock.
		yield* refuseIfBound(address, () => call('boundAbstract', address.name), {crashed: waiting.begun});
		kept = true;
		return socket;
	} finally {
		if (!kept) yield* call('closeLockSocket', socket);
	}
}

function* bindLock(address: AbstractAddress, claim: Claim, waiting: Waiting): Protocol<LockSocket> {
	const queue: Queue = {
		address: address.given,
		wait: deadline => call('awaitLockSocket', address.lockName, deadline),
		signal: (holder, signal) => call('signalLockSocketHolder', address.lockName, holder, signal),
	};
	let by: LockSocketHolder | undefined;
	let waitedMs = 0;
	for (let pauseMs = 1; ; ) {
		const socket = yield* call('bindLockSocket', address.lockName, claim.record());
		if (socket !== undefined) return socket;
		// All waiters come at once when a holder goes; those who wait already need not search again.
		if (!waiting.begun) by = yield* call('lockSocketHolder', address.lockName);
		if (by?.holder === undefined && waitedMs < dyingPatienceMs) {
			// Bound, but by no process that has it open: that one is dying, or was gone before we looked.
			yield* call('pause', pauseMs);
			waitedMs += pauseMs;
			pauseMs *= 2;
		} else if (by?.bindlock === false && claim.patience.replace !== undefined) {
			throw cannotReplace(address.given, 'ERR_HOLDER_UNVERIFIED', `${occupied} ${who(by)}`, by.holder);
		} else if (!(yield* waiting.for(by?.holder, queue))) {
			if (waiting.begun) by = yield* call('lockSocketHolder', address.lockName);
			throw taken(address, by, waiting.waitedMs);
		}
	}
}

const occupied = 'its lock name is occupied, not by bindlock but by';

function who({holder}: LockSocketHolder): string {
	return holder === undefined ? 'a process that cannot be seen from here' : describeHolder(holder);
}

/** Anybody may bind an abstract name: one who does not answer as bindlock does is not a holder but a squatter. */
export function taken(address: AbstractAddress, by: LockSocketHolder | undefined, waitedMs?: number): BindLockError {
	const why =
		by?.holder === undefined
			? 'its lock is held by a process that cannot be seen from here'
			: by.bindlock === false
				? occupied
				: 'held by';
	return addressInUse(address.given, {holder: by?.holder, why, waitedMs});
}
