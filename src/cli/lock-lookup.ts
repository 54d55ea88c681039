/**
 * For the command: who has the lock of an address that is known to be bound, or whose lock file was found; and what
 * is left in the file by a holder that could not empty it itself.
 */
import {basename, dirname} from 'node:path';
import {loadFlock} from '../kernel/flock/flock.js';
import {lockContention} from '../kernel/lock-holders.js';
import {statInside, withReached} from '../kernel/mounts/path-walk.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {Holder} from '../model/holder.js';
import {maxRecordBytes, parseRecord} from '../model/record.js';

export interface Lock {
	readonly holder?: Holder;
	/** Whether it left a record, so that this is no lock of another kind. */
	readonly recorded: boolean;
}

/**
 * The lock of the socket that a process has at a path.
 *
 * @param devices of mounts that may be looked at whatever their type
 * @returns `undefined` if there is no lock file, or it is on a mount that may hang
 */
export function lockBeside(
	pid: number | 'self',
	path: string,
	devices: readonly string[],
): {readonly lock: Lock | undefined} | undefined {
	return withReached(pid, dirname(path), {devices}, ({descriptor}) => {
		const name = `${basename(path)}.lock`;
		if (descriptor === undefined || statInside(descriptor, Buffer.from(name)) === undefined) return undefined;
		return {lock: lockOf(`/proc/self/fd/${descriptor}/${name}`)};
	});
}

/** @returns `undefined` if nobody has it */
export function lockOf(lockPath: string): Lock | undefined {
	try {
		const system = new NodeSystem(basename(lockPath));
		const file = system.lstat(lockPath);
		if (file?.type !== 'file' || file.nlink !== 1 || file.size > maxRecordBytes) return undefined;
		const record = parseRecord(system.peek(lockPath, maxRecordBytes) ?? '');
		if (record === 'foreign') return undefined;
		const contention = lockContention(file, lockPath, record);
		const {kind, holder} = contention;
		// The kernel does not show locks of other pid namespaces; there the record has to be believed.
		if (kind !== 'exclusive' && !(kind === 'unseen' && contention.elsewhere)) return undefined;
		return {recorded: record !== undefined, ...(holder === undefined ? {} : {holder})};
	} catch {
		// It may not be looked at.
		return undefined;
	}
}

/**
 * Empties the record of a process that has ended, unless somebody has the lock: who is in another pid namespace has
 * to believe a record. Under a shared lock, because a newcomer waits for one, and refuses nobody.
 */
export function clearRecord(lockPath: string, pid: number): void {
	const system = new NodeSystem(basename(lockPath));
	try {
		const descriptor = system.openLockFile(lockPath, false, 0);
		try {
			if (!loadFlock(lockPath)(descriptor, true)) return;
			const record = parseRecord(system.read(descriptor, maxRecordBytes));
			if (record !== 'foreign' && record?.pid === pid) system.truncate(descriptor);
		} finally {
			system.close(descriptor);
		}
	} catch {
		// Tidiness only, and its lock is gone.
	}
}
