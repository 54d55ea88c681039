/**
 * What a server offers its successor.
 */
import {type BindLock, OwnLock} from '../lock/owned-lock.js';
import {BindLockError} from '../model/errors.js';
import {printable} from '../model/text.js';
import {boundServerOf, type Offer} from '../server/bound-server.js';

/**
 * Offers a server's address, lock and listening socket. It serves on, but does not heal until that is settled.
 *
 * @throws BindLockError `ERR_LOCK_NOT_HELD`, `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`
 */
export function offerOf(lock: BindLock): Offer {
	if (!(lock instanceof OwnLock)) {
		throw new BindLockError('Only a lock of listen() can be handed over', {code: 'ERR_INVALID_ARG_TYPE'});
	}
	const serving = boundServerOf(lock);
	if (serving !== undefined) return serving.offer();
	throw new BindLockError(
		`The lock of ${printable(lock.address)} was not taken by listen(), so its server is not known`,
		{code: 'ERR_INVALID_ARG_VALUE', address: lock.address},
	);
}
