/**
 * `acquire`: locks an address before any server binds it.
 */
import {parseAddress} from '../kernel/address-parser.js';
import {Loss} from '../lock/loss.js';
import {type BindLock, OwnedLock} from '../lock/owned-lock.js';
import {takeAddress} from '../lock/take.js';
import {checkAcquireOptions} from '../model/option-checks.js';
import type {AcquireOptions} from '../model/options.js';
import {watchLockFile} from '../server/file-guard.js';

/**
 * Locks an address for this process, and removes a stale socket there. Afterwards any server of any framework can bind
 * it. The lock is held until `release()`, or until this process or worker thread ends, however it ends.
 *
 * @param address as for `server.listen()`; `unix:/p` and `unix:///p` are accepted too
 * @throws BindLockError `EADDRINUSE` if another process has the address (see `holder`), and others: docs/errors.md
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
	const parsed = parseAddress(address);
	const checked = checkAcquireOptions(address, options);
	const loss = new Loss();
	const taking = takeAddress(parsed, checked, loss);
	const lock = taking instanceof Promise ? await taking : taking;
	const {file, reclaimed} = lock;
	if (file !== undefined) loss.watchOnUse(() => watchLockFile(parsed, file, loss));
	return new OwnedLock(parsed, reclaimed, loss, lock, false);
}
