/**
 * `acquire`: the address, before any server binds it.
 */
import {hostname} from 'node:os';
import {type PathnameAddress, parseAddress} from './address.js';
import {asBindLockError, BindLockError} from './errors.js';
import {type BindLock, OwnLock} from './lock.js';
import {type AcquireOptions, checkAcquireOptions} from './options.js';
import {type Claim, giveBackLock} from './protocol/lockfile.js';
import {type Taken, take} from './protocol/pathname.js';
import {formatRecord} from './protocol/record.js';
import {loadFlock} from './system/flock.js';
import {NodeSystem, run, runSync} from './system/node.js';

/**
 * Takes an address for this process, and removes a stale socket that lies there. Afterwards any
 * server of any framework can bind it. The address stays ours until `release()`, or until this
 * process (in a worker: the thread) ends, however it ends.
 *
 * @param address as `server.listen()` takes it; `unix:/p`, `unix:///p` are read too
 * @throws BindLockError `EADDRINUSE` if somebody else has the address (see its `holder`), and
 * others: see docs/errors.md
 *
 * @example
 * ```ts
 * const lock = await acquire('/run/app.sock');
 * await app.listen({path: '/run/app.sock'});
 * // …
 * await lock.release(); // after app.close()
 * ```
 */
export async function acquire(address: string, options: AcquireOptions = {}): Promise<BindLock> {
	const parsed = pathnameOnly(parseAddress(address));
	const checked = checkAcquireOptions(address, options);
	const system = new NodeSystem(address, checked.signal);
	const taking = takeAddress(parsed, checked, system);
	const taken = taking instanceof Promise ? await taking : taking;
	return new OwnLock(parsed, taken.reclaimed, () =>
		runSync(giveBackLock(parsed.lockPath, taken.lock, checked.removeLockFile ?? false), system),
	);
}

/** Runs the protocol; what is thrown, or rejected with, is a BindLockError or the signal's reason. */
export function takeAddress(
	address: PathnameAddress,
	options: AcquireOptions,
	system: NodeSystem,
): Taken | Promise<Taken> {
	const {signal} = options;
	const explain = (error: unknown): never => {
		signal?.throwIfAborted();
		throw asBindLockError(address.given, error);
	};
	try {
		signal?.throwIfAborted();
		loadFlock(address.given);
		const taken = run(take(address, claimOf(options)), system);
		return taken instanceof Promise ? taken.catch(explain) : taken;
	} catch (error) {
		return explain(error);
	}
}

/** What this process says of itself to the protocol, and to those whom it refuses. */
function claimOf({lockFileMode = 0o600, label}: AcquireOptions): Claim {
	const uid = process.geteuid?.() ?? -1;
	if (own?.uid !== uid) own = {uid, fields: fieldsOf(uid)};
	const constant = label === undefined ? own.fields : fieldsOf(uid, label);
	return {uid, lockFileMode, record: fd => formatRecord(process.pid, fd, new Date().toISOString(), constant)};
}

/** As JSON without its opening brace: the script is named, further arguments may be secret. */
function fieldsOf(uid: number, label?: string): string {
	const command = [process.argv0, process.argv[1]].filter(Boolean).join(' ').slice(0, 500);
	return JSON.stringify({uid, command, host: hostname(), label}).slice(1);
}

/** Made once: a record costs a microsecond less, of about twenty for all. */
let own: {readonly uid: number; readonly fields: string} | undefined;

/** Abstract names have no lock yet. */
export function pathnameOnly(address: ReturnType<typeof parseAddress>): PathnameAddress {
	if (address.kind === 'pathname') return address;
	throw new BindLockError('Abstract addresses are not supported; use a path', {
		code: 'ERR_ADDRESS_ABSTRACT',
		address: address.given,
	});
}
