/**
 * A server of the runtime itself, such as `Bun.serve`, at a locked address. It binds synchronously, so everything before
 * that is synchronous, too.
 */
import {blocking} from '../kernel/interruptible.js';
import {type Reclaimed, reclaimApart} from '../kernel/node/reclaim-apart.js';
import type {RuntimeServerLock} from '../kernel/node/runtime-servers.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {AddressLock} from '../lock/address-lock.js';
import {Loss} from '../lock/loss.js';
import {isLockedHere, OwnedLock} from '../lock/owned-lock.js';
import {takeAddress} from '../lock/take.js';
import type {Address, PathnameAddress} from '../model/address.js';
import {addressInUse, BindLockError} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import {printable} from '../model/text.js';
import {FileGuard} from './file-guard.js';
import {SocketFile} from './socket-file.js';

/**
 * Takes the lock, and binds.
 *
 * @param bind calls the function of the runtime
 * @param caller the name of that function
 * @throws BindLockError `EADDRINUSE`, `ERR_INVALID_ARG_VALUE` for options that need time, and others; the errors of `bind`
 */
export function bindRuntimeServer(
	address: Address,
	options: AcquireOptions,
	bind: () => void,
	caller: string,
): RuntimeServerLock {
	// The program has acquired the address for this server; or an HTTP server of Bun, which binds by Bun.serve, has the
	// lock. A second server finds the socket file of the first.
	if (isLockedHere(address)) return bindWithoutLock(bind);
	const loss = new Loss();
	const lock = takeNow(address, options, loss, caller);
	const file = new SocketFile(address, {});
	try {
		bind();
		file.find();
	} catch (error) {
		lock.release(true);
		throw error;
	}
	loss.onReport(reason => process.emitWarning(reason.message, 'BindLockWarning'));
	const guard = address.kind === 'pathname' ? guardOf(address, lock, file, loss) : undefined;
	const owned = new OwnedLock(address, lock.reclaimed, loss, lock, true);
	let hasEnded = false;
	return {
		end: stop => {
			if (hasEnded) return stop();
			hasEnded = true;
			guard?.stop();
			// The runtime unlinks the path, whatever file it leads to.
			file.close({close: stop}, 'libuv');
			owned.releaseNow();
		},
	};
}

/** Binds a server that needs no lock of its own. */
export function bindWithoutLock(bind: () => void): RuntimeServerLock {
	bind();
	return {end: stop => stop()};
}

/** Notices a loss. Such a server cannot be bound again. */
function guardOf(address: PathnameAddress, lock: AddressLock, file: SocketFile, loss: Loss): FileGuard {
	return new FileGuard({
		address,
		lockFile: lock.file,
		isBound: () => file.isInPlace(),
		heals: false,
		rebind: async () => {},
		loss,
		onHealed: () => {},
		onLost: () => {},
	});
}

/** Takes the lock synchronously. */
function takeNow(address: Address, options: AcquireOptions, loss: Loss, caller: string): AddressLock {
	const needsTime = (['waitMs', 'replace', 'backend'] as const).find(name => options[name]);
	if (needsTime !== undefined && options[needsTime] !== 'flock') {
		throw new BindLockError(
			`${caller}() is synchronous, so the option ${needsTime} cannot be used with it: await acquire(${printable(address.given)}, {${needsTime}: …}) before it`,
			{code: 'ERR_INVALID_ARG_VALUE', address: address.given},
		);
	}
	if (address.kind === 'pathname' && new NodeSystem(address.given).lstat(address.path)?.type === 'socket') {
		refuseUnlessFree(address, reclaim(address, options, caller));
	}
	const cancelled = new AbortController();
	const taking = blocking(() => takeAddress(address, {...options, signal: cancelled.signal}, loss));
	if (!(taking instanceof Promise)) return taking;
	// Another process locks the file for a moment, or has bound meanwhile.
	cancelled.abort();
	taking.then(lock => lock.release(true)).catch(() => {});
	throw addressInUse(address.given, {why: 'another process has just taken it'});
}

function reclaim(address: Address, {reclaimForeign = false}: AcquireOptions, caller: string): Reclaimed {
	try {
		return reclaimApart(address.bindPath, reclaimForeign);
	} catch (cause) {
		throw new BindLockError(
			`Cannot find out synchronously, as ${caller}() needs it, whether a server is bound to ${printable(address.given)} (${(cause as Error).message}); await acquire(${printable(address.given)}) before it`,
			{code: 'ERR_LIVENESS_UNKNOWN', address: address.given, cause},
		);
	}
}

function refuseUnlessFree({given: address}: Address, {state, holder, reason}: Reclaimed): void {
	if (state === 'held') throw addressInUse(address, {why: 'held by', holder});
	if (state === 'foreign') throw addressInUse(address, {why: 'bound without a lock by', holder});
	if (reason !== undefined) throw new BindLockError(reason.message, {code: reason.code, address});
}
