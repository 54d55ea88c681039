/**
 * `bindlock reclaim`: removes stale sockets, and only those.
 */

import {type Inspection, inspect} from '../api/inspect.js';
import {Loss} from '../lock/loss.js';
import {takeAddress} from '../lock/take.js';
import {BindLockError} from '../model/errors.js';
import {describeHolder} from '../model/holder.js';
import {printable} from '../model/text.js';
import {addressArgument, parseArgument} from './addresses.js';
import {exit} from './failures.js';
import {fileAt} from './list/socket-table.js';
import {writeData, writeMessage} from './output.js';
import {holderJson, printJson, reasonJson} from './show.js';

interface ReclaimOptions {
	readonly reclaimForeign?: boolean;
	readonly json?: boolean;
}

/** @returns the exit status */
export default async function reclaim(addresses: readonly string[], options: ReclaimOptions): Promise<number> {
	let result: number = exit.done;
	for (const address of addresses) {
		const {removed, seen} = await reclaimOne(address, options.reclaimForeign ?? false);
		const {state, holder, reason} = seen;
		if (state !== 'free') result = exit.taken;
		if (options.json) {
			printJson({address, removed, state, holder: holderJson(holder), reason: reasonJson(reason)});
		} else if (removed) {
			writeData(`removed ${printable(address)}\n`);
		} else if (state !== 'free') {
			const why = reason?.message ?? `${state}${holder === undefined ? '' : `, by ${describeHolder(holder)}`}`;
			writeMessage(`bindlock: ${printable(address)} stays: ${why}`);
		}
	}
	return result;
}

/**
 * Looks first, so that no lock file is made for an address at which nothing is to be done. What
 * counts is then done under the lock: another process may have taken it meanwhile.
 */
async function reclaimOne(
	address: string,
	reclaimForeign: boolean,
): Promise<{readonly removed: boolean; readonly seen: Inspection}> {
	const seen = await inspect(addressArgument(address));
	const isForeign = seen.state === 'blocked' && seen.reason?.syscall === 'unlink';
	if (seen.state !== 'stale' && !(isForeign && reclaimForeign)) return {removed: false, seen};
	const {reason: _, holder: __, ...rest} = seen;
	try {
		// Where nobody uses bindlock no lock file is left behind.
		const removeLockFile = seen.lockPath !== undefined && fileAt(seen.lockPath) === undefined;
		const taken = await takeAddress(parseArgument(address), {removeLockFile, reclaimForeign}, new Loss());
		taken.release();
		return {removed: taken.reclaimed, seen: {...rest, state: 'free'}};
	} catch (reason) {
		if (!(reason instanceof BindLockError)) throw reason;
		const state = reason.code === 'EADDRINUSE' ? 'held' : 'blocked';
		return {removed: false, seen: {...rest, state, reason, ...(reason.holder ? {holder: reason.holder} : {})}};
	}
}
