/**
 * The lock of `backend: 'lease'`, for filesystems without flock: the directory `<path>.lock`, whose modification time
 * proper-lockfile renews by a timer. A holder that stalls for longer than the lease loses it while it is alive, and
 * notices afterwards.
 */
import {timeLeft} from '../kernel/deadline.js';
import {type LeaseDirectory, leaseDirectory} from '../kernel/files/lease-directory.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {PathnameAddress} from '../model/address.js';
import {attempt} from '../model/attempt.js';
import {run} from '../model/driver.js';
import {addressInUse, BindLockError, type BindLockErrorCode, codeOf, systemCodeOf} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import {printable} from '../model/text.js';
import type {Patience} from '../protocol/holder-wait.js';
import {openRemedies} from '../protocol/refusals.js';
import {lockInHand, reclaim} from '../protocol/stale.js';
import type {AddressLock} from './address-lock.js';
import {patienceOf, removerOf} from './claim.js';
import type {Loss} from './loss.js';

/** The age in milliseconds at which another process may take a lease. A holder renews it twice in that time. */
const staleMs = 10_000;

/**
 * Takes a lease.
 *
 * @throws BindLockError `EADDRINUSE`, `ERR_LOCK_BACKEND`, `ERR_HOLDER_UNVERIFIED`, and others
 */
export async function takeLeaseLock(
	address: PathnameAddress,
	options: AcquireOptions,
	loss: Loss,
): Promise<AddressLock> {
	const patience = patienceOf(options);
	if (patience.replace !== undefined) {
		const why = 'a lease does not name its holder, so no process can be signalled; omit the replace option';
		throw leaseError(address, 'ERR_HOLDER_UNVERIFIED', why);
	}
	const {signal} = options;
	const system = new NodeSystem(address.given, signal);
	const lock = new LeaseLock(address, (await import('proper-lockfile')).default, loss);
	try {
		await waitForLease(() => lock.take(system), patience, signal);
	} catch (error) {
		// The signal may abort when the lease has just been taken.
		lock.release();
		throw explainLeaseError(address, patience, error);
	}
	try {
		signal?.throwIfAborted();
		lock.reclaimed = await run(
			reclaim(
				address,
				removerOf(options),
				lockInHand(() => lock.isHeld),
			),
			system,
		);
		return lock;
	} catch (error) {
		lock.release();
		throw error;
	}
}

type ProperLockfile = typeof import('proper-lockfile');

class LeaseLock implements AddressLock {
	reclaimed = false;
	readonly file = undefined;
	readonly shareable = undefined;
	readonly #address: PathnameAddress;
	readonly #lockfile: ProperLockfile;
	readonly #options: {lockfilePath: string; realpath: false; stale: number; fs: LeaseDirectory};
	readonly #loss: Loss;
	#isHeld = false;

	constructor(address: PathnameAddress, lockfile: ProperLockfile, loss: Loss) {
		this.#address = address;
		this.#lockfile = lockfile;
		this.#options = {lockfilePath: address.lockPath, realpath: false, stale: staleMs, fs: leaseDirectory()};
		this.#loss = loss;
	}

	get isHeld(): boolean {
		return this.#isHeld;
	}

	async take(system: NodeSystem): Promise<void> {
		refuseOtherBackend(this.#address, system);
		const onCompromised = (cause: Error): void => this.#lose(cause);
		await this.#lockfile.lock(this.#address.path, {...this.#options, onCompromised});
		this.#isHeld = true;
	}

	#lose(cause: Error): void {
		// A renewal may be in progress during the release.
		if (!this.#isHeld) return;
		this.#isHeld = false;
		const why = 'it was lost: this process stalled for too long, or a program removed the directory';
		this.#loss.report(leaseError(this.#address, 'ERR_LEASE_COMPROMISED', why, cause));
	}

	release(): void {
		// proper-lockfile releases by path: after a loss that may be a newer lease of this process.
		if (!this.#isHeld) return;
		this.#isHeld = false;
		// It may have been lost a moment ago.
		attempt(() => this.#lockfile.unlockSync(this.#address.path, this.#options));
	}

	/** The kernel does not release a lease with the process. */
	exit(): void {
		this.release();
	}
}

/** Refuses the lock file of the flock backend. It stays when it is not locked, and its state is unknown here. */
function refuseOtherBackend(address: PathnameAddress, system: NodeSystem): void {
	const found = system.lstat(address.lockPath);
	if (found === undefined || found.type === 'directory') return;
	throw leaseError(
		address,
		'ERR_LOCK_BACKEND',
		`${printable(address.lockPath)} is not a directory, so this address is locked with the flock backend; use that, or remove the file when no server uses it`,
	);
}

async function waitForLease(
	take: () => Promise<void>,
	patience: Patience,
	signal: AbortSignal | undefined,
): Promise<void> {
	if (patience.waitMs <= 0) return await take();
	const {default: pRetry} = await import('p-retry');
	let notified = false;
	await pRetry(take, {
		retries: Number.POSITIVE_INFINITY,
		minTimeout: 50,
		maxTimeout: 1000,
		randomize: true,
		maxRetryTime: timeLeft(patience.began + patience.waitMs),
		shouldRetry: ({error}) => codeOf(error) === 'ELOCKED',
		onFailedAttempt({error}) {
			if (notified || codeOf(error) !== 'ELOCKED') return;
			notified = true;
			patience.onWait?.(undefined);
		},
		...(signal === undefined ? {} : {signal}),
	});
}

function explainLeaseError(address: PathnameAddress, patience: Patience, cause: unknown): unknown {
	const code = codeOf(cause);
	if (cause instanceof BindLockError || code === 'UNKNOWN') return cause;
	if (code === 'ELOCKED') {
		const waitedMs = patience.waitMs > 0 ? Math.round(performance.now() - patience.began) : undefined;
		return addressInUse(address.given, {why: 'another process holds and renews a lease of it', waitedMs, cause});
	}
	return leaseError(address, systemCodeOf(cause), openRemedies[code] ?? code, cause);
}

function leaseError(address: PathnameAddress, code: BindLockErrorCode, why: string, cause?: unknown): BindLockError {
	return new BindLockError(`Lease of ${printable(address.path)}: ${why}`, {
		code,
		address: address.given,
		path: address.lockPath,
		cause,
	});
}
