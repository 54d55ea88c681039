/**
 * The offers of a hand-over: what each server gives to its successor.
 */
import {type BindLock, OwnedLock} from '../lock/owned-lock.js';
import {BindLockError} from '../model/errors.js';
import {printable} from '../model/text.js';
import {boundServerOf} from '../server/bound-server.js';
import type {Offer} from '../server/socket-transfer.js';

/**
 * Offers the servers of these locks. They serve on, and do not heal until the offers are accepted or withdrawn.
 *
 * @throws BindLockError `ERR_LOCK_NOT_HELD`, `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`; then none is offered
 */
export function offerAll(locks: readonly BindLock[]): readonly Offer[] {
	if (locks.length === 0) throw new BindLockError('There is no lock to hand over', {code: 'ERR_INVALID_ARG_VALUE'});
	const offers: Offer[] = [];
	try {
		for (const lock of locks) offers.push(offer(lock));
	} catch (error) {
		for (const offer of offers) offer.withdraw();
		throw error;
	}
	return offers;
}

function offer(lock: BindLock): Offer {
	if (!(lock instanceof OwnedLock)) {
		throw new BindLockError('Only a lock of listen() can be handed over', {code: 'ERR_INVALID_ARG_TYPE'});
	}
	const server = boundServerOf(lock);
	if (server !== undefined) return server.offer();
	throw new BindLockError(
		`The lock of ${printable(lock.address)} cannot be handed over: it is not a lock of listen(), so its server is unknown`,
		{code: 'ERR_INVALID_ARG_VALUE', address: lock.address},
	);
}
