/**
 * Takes the lock of an address, of either kind and with either backend.
 */
import {isClusterWorker} from '../kernel/node/cluster.js';
import {descriptorsOutliveThread} from '../kernel/node/worker-threads.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {BoundDescriptor} from '../kernel/sockets/bound-descriptor.js';
import type {Address} from '../model/address.js';
import {run} from '../model/driver.js';
import {asBindLockError, BindLockError} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import {printable} from '../model/text.js';
import {takeAbstractLock} from './abstract-lock.js';
import type {AddressLock} from './address-lock.js';
import {takeFlockLock} from './flock-lock.js';
import {givenLock} from './given-lock.js';
import {takeLeaseLock} from './lease-lock.js';
import type {Loss} from './loss.js';

/**
 * Takes the lock. Returns synchronously unless something must be waited for, because `register` runs inside
 * `server.listen()`.
 *
 * @param loss is reported to when a lease is lost
 * @param bound the socket of the address, if another process has bound it for this one
 * @throws BindLockError, or rejects with it; the reason of `options.signal`
 */
export function takeAddress(
	address: Address,
	options: AcquireOptions,
	loss: Loss,
	bound?: BoundDescriptor,
): AddressLock | Promise<AddressLock> {
	const {signal} = options;
	const explain = (error: unknown): never => {
		signal?.throwIfAborted();
		const explained = asBindLockError(address.given, error);
		// V8 keeps ten frames. This drops those of bindlock, so that the caller's are among them.
		Error.captureStackTrace(explained, explain);
		throw explained;
	};
	try {
		signal?.throwIfAborted();
		const given = bound === undefined ? undefined : givenLock(address);
		if (given !== undefined) return given;
		if (!options.exclusive) refuseInWorker(address);
		refuseInThread(address);
		const lock = takeByKind(address, options, loss, bound?.descriptor);
		return lock instanceof Promise ? lock.catch(explain) : lock;
	} catch (error) {
		return explain(error);
	}
}

/** The primary process binds for all workers. A lock of one worker would exclude the others and not what matters. */
function refuseInWorker(address: Address): void {
	if (!isClusterWorker()) return;
	throw new BindLockError(
		`A worker of a cluster does not bind ${printable(address.given)}, its primary does: import 'bindlock/register' in the primary and call server.listen() here; or set exclusive: true if the address belongs to this worker alone`,
		{code: 'ERR_CLUSTER_WORKER', address: address.given},
	);
}

function refuseInThread(address: Address): void {
	if (!descriptorsOutliveThread()) return;
	throw new BindLockError(
		`A worker thread of this runtime cannot lock ${printable(address.given)}: its lock would outlive it; lock in the main thread`,
		{code: 'ERR_WORKER_UNSUPPORTED_OPERATION', address: address.given},
	);
}

function takeByKind(
	address: Address,
	options: AcquireOptions,
	loss: Loss,
	bound: number | undefined,
): AddressLock | Promise<AddressLock> {
	const isPathname = address.kind === 'pathname';
	if (options.backend === 'lease') {
		if (isPathname) return takeLeaseLock(address, options, loss);
		throw new BindLockError('An abstract address has no lease, because it has no directory; omit the backend option', {
			code: 'ERR_INVALID_ARG_VALUE',
			address: address.given,
		});
	}
	const protocol = isPathname
		? takeFlockLock(address, options, bound !== undefined)
		: takeAbstractLock(address, options);
	return run(protocol, new NodeSystem(address.given, options.signal, bound));
}
