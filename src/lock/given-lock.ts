/**
 * The lock of an address whose socket was passed to this process together with its lock, by `bindlock run --listen`. That
 * command has taken the lock, and holds it until this process and its successors have ended.
 */
import {hasFlock} from '../kernel/flock/proc-locks.js';
import {variable} from '../kernel/node/environment.js';
import {NodeSystem} from '../kernel/node-system.js';
import {hasLockSocket} from '../kernel/sockets/abstract-owners.js';
import {hasPassedSockets} from '../kernel/sockets/passed-sockets.js';
import {type Address, keyOf} from '../model/address.js';
import {attempt} from '../model/attempt.js';
import type {AddressLock} from './address-lock.js';

/** The descriptors of the locks, separated by commas. For the process of `LISTEN_PID`. */
export const lockDescriptorsVariable = 'BINDLOCK_LOCK_FDS';

/** The keys of addresses. A second server of this process at the same address is refused as by any other lock. */
const inUse: Set<string> = new Set();

/**
 * Returns the lock that was passed to this process, if the kernel confirms that this process has it.
 *
 * @returns `undefined` if the lock must be taken
 */
export function givenLock(address: Address): AddressLock | undefined {
	const key = keyOf(address);
	if (inUse.has(key) || !hasPassedSockets() || !isGiven(address)) return undefined;
	inUse.add(key);
	return {
		reclaimed: false,
		file: undefined,
		shareable: undefined,
		release: () => inUse.delete(key),
		exit: () => {},
	};
}

function isGiven(address: Address): boolean {
	const numbers = (variable(lockDescriptorsVariable) ?? '').split(',').filter(text => /^\d+$/.test(text));
	if (address.kind === 'abstract') return numbers.length > 0 && hasLockSocket(process.pid, address.lockName);
	const file = attempt(() => new NodeSystem(address.given).lstat(address.lockPath));
	if (file === undefined) return false;
	return numbers.some(fd => hasFlock(process.pid, Number(fd), file, address.lockPath, 'WRITE'));
}
