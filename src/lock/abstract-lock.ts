/**
 * The lock of an abstract address: a socket that is bound to `\0<name>.lock`. The kernel frees it with the process.
 */
import {descriptorOf} from '../kernel/node/net-server.js';
import {adoptLockSocket, changeRecord, closeLockSocket, listenerOfLock} from '../kernel/sockets/lock-socket.js';
import type {AbstractAddress} from '../model/address.js';
import type {Protocol} from '../model/driver.js';
import {BindLockError} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import type {Listener, LockSocket} from '../model/system.js';
import {takeAbstract} from '../protocol/abstract.js';
import type {AddressLock, Heir, ShareableLock} from './address-lock.js';
import {claimOf, recordOf} from './claim.js';

/**
 * Takes the lock.
 *
 * @throws BindLockError `EADDRINUSE` if another process holds it or is bound, and others
 */
export function* takeAbstractLock(address: AbstractAddress, options: AcquireOptions): Protocol<AddressLock> {
	if (process.platform !== 'linux') {
		throw new BindLockError('Only Linux has abstract addresses; use a path', {
			code: 'ERR_UNSUPPORTED_PLATFORM',
			address: address.given,
		});
	}
	return new AbstractLock(options, yield* takeAbstract(address, claimOf(options)));
}

/** Adopts the lock socket that the predecessor of this process has sent. */
export function inheritAbstractLock(options: AcquireOptions, listener: Listener): AddressLock {
	return new AbstractLock(options, adoptLockSocket(listener, claimOf(options).record()));
}

class AbstractLock implements AddressLock, ShareableLock {
	readonly reclaimed = false;
	readonly file = undefined;
	readonly #options: AcquireOptions;
	readonly #socket: LockSocket;

	constructor(options: AcquireOptions, socket: LockSocket) {
		this.#options = options;
		this.#socket = socket;
	}

	get shareable(): ShareableLock {
		return this;
	}

	get descriptor(): number | undefined {
		return descriptorOf(this.socket);
	}

	get socket(): Listener | undefined {
		return listenerOfLock(this.#socket);
	}

	release(): void {
		closeLockSocket(this.#socket);
	}

	/** Closes only the handle of this process. */
	leave(): void {
		this.release();
	}

	exit(): void {}

	announce(heir: Heir = {pid: process.pid, fd: undefined}): void {
		changeRecord(this.#socket, recordOf(this.#options, heir));
	}
}
