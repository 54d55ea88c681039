/**
 * Reads who holds a lock file, without taking the lock.
 */

import {basename, dirname} from 'node:path';
import {lockContention} from '../kernel/flock/lock-holders.js';
import {atOnce} from '../kernel/interruptible.js';
import {statInside, withReached} from '../kernel/mounts/reachable.js';
import {NodeSystem} from '../kernel/node-system.js';
import type {Holder} from '../model/holder.js';
import {maxRecordBytes, parseRecord} from '../model/record.js';

interface ObservedLock {
	readonly holder: Holder | undefined;
	/** Whether the file has a record of bindlock; otherwise another program may use it. */
	readonly hasRecord: boolean;
}

/**
 * Reads the lock file beside a socket.
 *
 * @param pid the process whose view of the path is meant
 * @param path of the socket
 * @param devices of mounts that are looked at whatever their type
 * @returns `undefined` if there is no lock file, or it is on a mount that may hang
 */
export function readLockBeside(
	pid: number | 'self',
	path: string,
	devices: readonly string[],
): {readonly lock: ObservedLock | undefined} | undefined {
	return withReached(pid, dirname(path), {devices}, ({descriptor}) => {
		const name = `${basename(path)}.lock`;
		if (descriptor === undefined || statInside(descriptor, Buffer.from(name)) === undefined) return undefined;
		return {lock: readLock(`/proc/self/fd/${descriptor}/${name}`)};
	});
}

/**
 * Reads a lock file.
 *
 * @returns `undefined` if no process holds the lock, or the file cannot be read
 */
export function readLock(lockPath: string): ObservedLock | undefined {
	try {
		const system = new NodeSystem(basename(lockPath));
		const file = system.lstat(lockPath);
		if (file?.type !== 'file' || file.nlink !== 1 || file.size > maxRecordBytes) return undefined;
		const record = parseRecord(system.peek(lockPath, maxRecordBytes) ?? '');
		if (record === 'foreign') return undefined;
		const contention = atOnce(lockContention(file, lockPath, record));
		const {kind, holder} = contention;
		// The kernel hides locks of other pid namespaces. The record is the only evidence of such a lock.
		if (kind !== 'exclusive' && !(kind === 'unseen' && contention.elsewhere)) return undefined;
		return {hasRecord: record !== undefined, holder};
	} catch {
		return undefined;
	}
}
