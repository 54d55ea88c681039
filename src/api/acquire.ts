/**
 * `acquire`: the address, before any server binds it.
 */
import {parseAddress} from '../kernel/address-parser.js';
import {Loss} from '../lock/loss.js';
import {type BindLock, OwnLock} from '../lock/owned-lock.js';
import {takeAddress} from '../lock/take.js';
import {checkAcquireOptions, noOptions} from '../model/option-checks.js';
import type {AcquireOptions} from '../model/options.js';
import {watchLock} from '../server/file-guard.js';

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
export async function acquire(address: string, options: AcquireOptions = noOptions): Promise<BindLock> {
	const parsed = parseAddress(address);
	const checked = checkAcquireOptions(address, options);
	const loss = new Loss();
	const taking = takeAddress(parsed, checked, loss);
	const taken = taking instanceof Promise ? await taking : taking;
	if (taken.keeper !== undefined) loss.watchWhenAsked(() => watchLock(parsed, taken.keeper, loss));
	return new OwnLock(parsed, taken.reclaimed, loss, taken, false);
}
