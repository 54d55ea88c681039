/**
 * `bindlock reclaim`: removes stale sockets, and only those.
 */

import {BindLockError, describeHolder, printable} from '../errors.js';
import {type Inspection, inspect} from '../inspect.js';
import {Loss} from '../lock.js';
import {writeData, writeMessage} from '../system/output.js';
import {fileAt} from '../system/table.js';
import {takeAddress} from '../taking.js';
import {addressArgument, parseArgument} from './addresses.js';
import {exit} from './failures.js';
import {holderJson, printJson, reasonJson} from './show.js';

/** @returns the exit status */
export default async function reclaim(addresses: readonly string[], {json}: {json?: boolean}): Promise<number> {
	let result: number = exit.done;
	for (const address of addresses) {
		const {removed, seen} = await reclaimOne(address);
		const {state, holder, reason} = seen;
		if (state !== 'free') result = exit.taken;
		if (json) {
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
async function reclaimOne(address: string): Promise<{readonly removed: boolean; readonly seen: Inspection}> {
	const seen = await inspect(addressArgument(address));
	if (seen.state !== 'stale') return {removed: false, seen};
	try {
		// Where nobody uses bindlock no lock file is left behind.
		const removeLockFile = seen.lockPath !== undefined && fileAt(seen.lockPath) === undefined;
		const taken = await takeAddress(parseArgument(address), {removeLockFile}, new Loss());
		taken.giveBack();
		return {removed: taken.reclaimed, seen: {...seen, state: 'free'}};
	} catch (reason) {
		if (!(reason instanceof BindLockError)) throw reason;
		const state = reason.code === 'EADDRINUSE' ? 'held' : 'blocked';
		const {holder: _, ...rest} = seen;
		return {removed: false, seen: {...rest, state, reason, ...(reason.holder ? {holder: reason.holder} : {})}};
	}
}
