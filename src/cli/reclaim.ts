/**
 * `bindlock reclaim`: removes stale sockets.
 */
import {inspect} from '../api/inspect.js';
import {statusOfPath} from '../kernel/files/file-status.js';
import {Loss} from '../lock/loss.js';
import {takeAddress} from '../lock/take.js';
import {BindLockError} from '../model/errors.js';
import {describeHolder, type Holder} from '../model/holder.js';
import {printable} from '../model/text.js';
import type {Inspection} from '../protocol/inspection.js';
import {addressArgument, parseAddressArgument} from './arguments.js';
import {exit} from './exit-status.js';
import {holderJson, printJson, reasonJson} from './json.js';
import {writeData, writeMessage} from './output.js';

interface ReclaimOptions {
	readonly reclaimForeign?: boolean;
	readonly json?: boolean;
}

interface Reclaimed {
	/** Whether a stale socket was removed. */
	readonly removed: boolean;
	/** The state afterwards. */
	readonly state: Inspection['state'];
	readonly holder?: Holder | undefined;
	readonly reason?: BindLockError;
}

/** @returns the exit status */
export default async function reclaim(addresses: readonly string[], options: ReclaimOptions): Promise<number> {
	let result: number = exit.done;
	for (const address of addresses) {
		const {removed, state, holder, reason} = await reclaimOne(address, options.reclaimForeign ?? false);
		if (state !== 'free') result = exit.taken;
		if (options.json) {
			printJson({address, removed, state, holder: holderJson(holder), reason: reasonJson(reason)});
		} else if (removed) {
			writeData(`removed ${printable(address)}\n`);
		} else if (state !== 'free') {
			const why = reason?.message ?? `${state}${holder === undefined ? '' : `, by ${describeHolder(holder)}`}`;
			writeMessage(`bindlock: ${printable(address)} was not removed: ${why}`);
		}
	}
	return result;
}

/**
 * Inspects the address first, so that no lock file is created if there is nothing to remove. Taking the lock then
 * checks everything again, because another process may have taken the address in the meantime (TOCTOU).
 */
async function reclaimOne(address: string, reclaimForeign: boolean): Promise<Reclaimed> {
	const inspection = await inspect(addressArgument(address));
	const isOfOther = inspection.state === 'blocked' && inspection.reason?.syscall === 'unlink';
	if (inspection.state !== 'stale' && !(isOfOther && reclaimForeign)) return {removed: false, ...inspection};
	try {
		const removeLockFile = inspection.lockPath !== undefined && statusOfPath(inspection.lockPath) === undefined;
		const taken = await takeAddress(parseAddressArgument(address), {removeLockFile, reclaimForeign}, new Loss());
		taken.release();
		return {removed: taken.reclaimed, state: 'free'};
	} catch (reason) {
		if (!(reason instanceof BindLockError)) throw reason;
		const state = reason.code === 'EADDRINUSE' ? 'held' : 'blocked';
		return {removed: false, state, reason, holder: reason.holder};
	}
}
