/**
 * `backend: 'lease'`: for filesystems that have no flock. A directory at `<path>.lock` whose age is
 * renewed by a timer, by proper-lockfile. Weaker by nature: a holder that is stalled for longer than
 * its lease is robbed while it is alive, and learns of it only afterwards.
 */

import {timeLeft} from '../kernel/deadline.js';
import {leaseDirectory} from '../kernel/lease-directory.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {PathnameAddress} from '../model/address.js';
import {addressInUse, BindLockError, type BindLockErrorCode, codeOf, systemCodeOf} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import {run} from '../model/system.js';
import {printable} from '../model/text.js';
import {openRemedies} from '../protocol/refusals.js';
import {holdingWhile, reclaim} from '../protocol/stale.js';
import type {Patience} from '../protocol/wait.js';
import {removerOf} from './claim.js';
import type {TakenAddress} from './take.js';

/** How old a lease may be before others take it; it is renewed twice in that time. */
const staleMs = 10_000;

/**
 * @param compromised is called when the lease was lost
 * @throws BindLockError `EADDRINUSE`, `ERR_LOCK_BACKEND`
 */
export async function takeLease(
	address: PathnameAddress,
	options: AcquireOptions,
	patience: Patience,
	compromised: (error: BindLockError) => void,
): Promise<TakenAddress> {
	if (patience.replace !== undefined)
		throw cannotLease(
			address,
			'ERR_HOLDER_UNVERIFIED',
			'a lease does not tell who holds it, so nobody can be asked to go',
		);
	const system = new NodeSystem(address.given, options.signal);
	const {default: lockfile} = await import('proper-lockfile');
	const lock = {lockfilePath: address.lockPath, realpath: false, stale: staleMs, fs: leaseDirectory()};
	let held = false;
	const take = async (): Promise<void> => {
		refuseOtherBackend(address, system);
		const onCompromised = (cause: Error): void => {
			// A look that was under way when it was given back.
			if (!held) return;
			held = false;
			compromised(
				cannotLease(
					address,
					'ERR_LEASE_COMPROMISED',
					'it was lost: this process was stalled for too long, or somebody removed it',
					cause,
				),
			);
		};
		await lockfile.lock(address.path, {...lock, onCompromised});
		held = true;
	};
	const giveBack = (): void => {
		// By the path: one that was lost may be a new one of ours by now.
		if (!held) return;
		held = false;
		try {
			lockfile.unlockSync(address.path, lock);
		} catch {
			// Lost just now, so there is nothing to give back.
		}
	};
	try {
		await waitFor(take, patience, options.signal);
	} catch (error) {
		// An abort may come when the lease has just been taken.
		giveBack();
		throw refusal(address, patience, error);
	}
	try {
		options.signal?.throwIfAborted();
		const reclaimed = await run(
			reclaim(
				address,
				removerOf(options),
				holdingWhile(() => held),
			),
			system,
		);
		return {reclaimed, giveBack};
	} catch (error) {
		giveBack();
		throw error;
	}
}

/** The lock file of the other backend stays when it is not held; nothing tells us here whether it is. */
function refuseOtherBackend(address: PathnameAddress, system: NodeSystem): void {
	const found = system.lstat(address.lockPath);
	if (found === undefined || found.type === 'directory') return;
	throw cannotLease(
		address,
		'ERR_LOCK_BACKEND',
		`${printable(address.lockPath)} is not a directory, so this address is locked with the flock backend; use that, or remove it when nobody does`,
	);
}

async function waitFor(take: () => Promise<void>, patience: Patience, signal: AbortSignal | undefined): Promise<void> {
	if (patience.waitMs <= 0) return await take();
	const {default: pRetry} = await import('p-retry');
	let told = false;
	await pRetry(take, {
		retries: Number.POSITIVE_INFINITY,
		minTimeout: 50,
		maxTimeout: 1000,
		randomize: true,
		maxRetryTime: timeLeft(patience.began + patience.waitMs),
		shouldRetry: ({error}) => codeOf(error) === 'ELOCKED',
		onFailedAttempt({error}) {
			if (told || codeOf(error) !== 'ELOCKED') return;
			told = true;
			patience.onWait?.(undefined);
		},
		...(signal === undefined ? {} : {signal}),
	});
}

function refusal(address: PathnameAddress, patience: Patience, cause: unknown): unknown {
	const code = codeOf(cause);
	if (cause instanceof BindLockError || code === 'UNKNOWN') return cause;
	if (code === 'ELOCKED') {
		const waitedMs = patience.waitMs > 0 ? Math.round(performance.now() - patience.began) : undefined;
		return addressInUse(address.given, {why: 'somebody has a lease of it, and renews it', waitedMs, cause});
	}
	return cannotLease(address, systemCodeOf(cause), openRemedies[code] ?? code, cause);
}

function cannotLease(address: PathnameAddress, code: BindLockErrorCode, why: string, cause?: unknown): BindLockError {
	return new BindLockError(`Lease of ${printable(address.path)}: ${why}`, {
		code,
		address: address.given,
		path: address.lockPath,
		cause,
	});
}
