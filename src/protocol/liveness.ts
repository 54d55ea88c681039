/**
 * Whether a process is bound to an address. Servers that take no lock are found here.
 */
import type {PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {addressInUse, BindLockError, codeOf, systemCodeOf} from '../model/errors.js';
import type {Bound, FileStatus} from '../model/system.js';
import {printable} from '../model/text.js';
import {Backoff} from './holder-wait.js';

/**
 * How long an exiting process may keep its sockets after its lock, in milliseconds. The kernel closes its descriptors
 * one by one, and by then no process has them open, so no holder can be named.
 */
export const exitingProcessMs = 100;

/** The same limit on a busy machine, where the previous holder is known to have crashed. */
const crashedProcessMs = 1000;

interface BoundOptions {
	/** The previous holder crashed, or exited a moment ago: its sockets may outlive its lock for a moment. */
	readonly crashed?: boolean;
	/** A connection follows, and decides what the kernel's tables leave open. */
	readonly connectsNext?: boolean;
}

/**
 * Throws EADDRINUSE if `look` finds a process bound to the address, unless that process is exiting.
 *
 * @throws BindLockError `EADDRINUSE`
 */
export function* refuseIfBound(
	address: {readonly given: string},
	look: () => Protocol<Bound | undefined>,
	{crashed = false, connectsNext = false}: BoundOptions = {},
): Protocol<void> {
	const limitMs = crashed ? crashedProcessMs : exitingProcessMs;
	const backoff = new Backoff();
	for (;;) {
		const bound = yield* look();
		if (bound === undefined) return;
		// A visible process that is not exiting.
		const isSettled = (bound.holder !== undefined || bound.isSearched === false) && !crashed;
		if (!isSettled && (yield* backoff.within(limitMs))) continue;
		if (bound.holder !== undefined) {
			throw addressInUse(address.given, {holder: bound.holder, why: 'bound without a lock by'});
		}
		if (bound.isSearched === false) {
			throw addressInUse(address.given, {
				why: 'a server that takes no lock is bound to it; its process was not found in time among so many',
			});
		}
		if (connectsNext && !bound.isCertain) return;
		throw addressInUse(address.given, {
			why: 'a process that is not visible here is bound to it and takes no lock',
		});
	}
}

/** How a socket is probed. */
interface ProbeOptions {
	/** Whether this process may remove the file. The tables are not searched for servers of another user's file. */
	readonly removable: boolean;
	readonly crashed?: boolean;
	/** Whether the file is removed if it is dead, so that a wrong answer does harm. */
	readonly removes: boolean;
}

/**
 * Checks that no process is bound to a pinned socket file.
 *
 * @returns `false` if the file disappeared meanwhile
 * @throws BindLockError `EADDRINUSE` if a process is bound to it; another code if that is unknown
 */
export function* isDead(
	address: PathnameAddress,
	found: FileStatus,
	pinned: number | undefined,
	{removable, crashed = false, removes}: ProbeOptions,
): Protocol<boolean> {
	// Before a connection, which can disturb: a server may serve one client and exit, or handle no errors.
	yield* refuseIfBound(address, () => call('bound', address.path, found, 'named'), {crashed, connectsNext: removable});
	let answer = '';
	const connect = function* (): Protocol<Bound | undefined> {
		answer = yield* call('connect', address.path, pinned);
		return answer === 'BOUND' ? {isCertain: true} : undefined;
	};
	// A socket that is bound and does not listen yet refuses connections, as a dead one does (R4b).
	yield* refuseIfBound(address, connect, {crashed});
	if (answer === 'UNPROVED') yield* searchTables(address, found, removes, crashed);
	if (answer === 'UNPROVED' || answer === 'ECONNREFUSED') return true;
	// Removed, or its process exited with this connection in the backlog.
	if (answer === 'ENOENT' || answer === 'ECONNRESET') return false;
	const alive = signsOfLife[answer];
	if (alive !== undefined) throw addressInUse(address.given, {why: alive});
	// A local error (no descriptors, no permission) says nothing about the server (R8).
	throw cannotProbe(address, {code: answer});
}

/**
 * The kernel's tables are read in pieces and are no snapshot. A neighbour that creates and closes sockets at the right
 * moment can hide a row from one reading; several readings at random times are hard to evade (R20).
 */
const readings = 5;

/** For filesystems where a connection does not distinguish a dead socket from one that does not listen yet. */
function* searchTables(
	address: PathnameAddress,
	found: FileStatus,
	removes: boolean,
	crashed: boolean,
): Protocol<void> {
	for (let reading = 0; reading < (removes ? readings : 1); reading++) {
		if (reading > 0) yield* call('pause', reading);
		yield* refuseIfBound(address, () => call('bound', address.path, found, removes ? 'all' : 'possible'), {crashed});
	}
}

const signsOfLife: Readonly<Record<string, string>> = {
	CONNECTED: 'a server that takes no lock accepts connections there, perhaps in another network namespace',
	EAGAIN: 'a server that takes no lock has a full backlog there',
	EPROTOTYPE: 'a datagram or seqpacket socket is bound there',
	ETIMEDOUT: 'a connection there is neither accepted nor refused',
};

/** Wraps the error of a probe that failed. */
export function cannotProbe(address: PathnameAddress, cause: {readonly code: string} | Error): BindLockError {
	return new BindLockError(
		`Cannot tell whether a server is bound to ${printable(address.path)}: the connection failed with ${codeOf(cause)}, and only a refused connection means that it is dead`,
		{
			code: systemCodeOf(cause),
			address: address.given,
			syscall: 'connect',
			cause: cause instanceof Error ? cause : undefined,
		},
	);
}
