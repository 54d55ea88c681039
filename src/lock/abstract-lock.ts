/**
 * The lock of an abstract address: a socket that is bound to `\0<name>.lock`. The kernel frees it with the process.
 */
import {descriptorOf} from '../kernel/node/net-server.js';
import {adoptLockSocket, closeLockSocket, listenerOfLock} from '../kernel/sockets/lock-socket.js';
import type {AbstractAddress} from '../model/address.js';
import type {Protocol} from '../model/driver.js';
import {BindLockError} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import type {Listener, LockSocket} from '../model/system.js';
import {takeAbstract} from '../protocol/abstract.js';
import type {AddressLock, ShareableLock} from './address-lock.js';
import {claimOf} from './claim.js';

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
	return new AbstractLock(yield* takeAbstract(address, claimOf(options)));
}

/** Adopts the lock socket that the predecessor of this process has sent. */
export function inheritAbstractLock(options: AcquireOptions, listener: Listener): AddressLock {
	return new AbstractLock(adoptLockSocket(listener, claimOf(options).record()));
}

class AbstractLock implements AddressLock, ShareableLock {
	readonly reclaimed = false;
	readonly file = undefined;
	readonly #socket: LockSocket;

	constructor(socket: LockSocket) {
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

	/** The lock socket answers with the record of this process since it was adopted. */
	announce(): void {}
}
