/**
 * What is in directories and bound to nothing: stale sockets, and locks whose server has yet to bind.
 */

import {type Inspection, inspect} from '../../api/inspect.js';
import {reachable} from '../../kernel/mounts/path-walk.js';
import type {Holder} from '../../model/holder.js';
import {lockBeside} from '../lock-lookup.js';
import {reasonJson} from '../show.js';
import {scanDirectory} from './directory-scan.js';
import {type BoundSocket, type FoundFile, fileAt, fileSeen, identity} from './socket-table.js';

/** A row of the table. */
export interface Entry {
	readonly address: string;
	readonly state: 'held' | 'foreign' | 'masked' | 'unknown' | 'stale' | 'blocked';
	readonly socket?: BoundSocket;
	/** That have the socket open. */
	readonly processes: readonly Holder[];
	/** Of the lock. */
	readonly holder?: Holder | undefined;
	readonly lockPath?: string | undefined;
	readonly reason?: {readonly code: string; readonly message: string} | undefined;
	readonly since?: Date;
}

/** @param devices of mounts that may be looked at whatever their type */
export async function leftEntries(
	directories: readonly string[],
	bound: readonly BoundSocket[],
	devices: readonly string[],
): Promise<{readonly entries: readonly Entry[]; readonly unread: readonly string[]}> {
	const known = new Set(bound.map(({file, isThere}) => file && isThere !== false && identity(file)));
	const entries = new Map<string, Entry>();
	const unread: string[] = [];
	for (const directory of directories) {
		const scanned = scanDirectory(directory);
		unread.push(...scanned.unread);
		for (const path of scanned.sockets) {
			const file = fileSeen('self', path, devices);
			if (file === undefined || known.has(identity(file))) continue;
			const entry = canBeInspected(path, devices)
				? socketEntry(path, file, await inspectIfShort(path))
				: ({address: path, state: 'unknown', processes: [], since: file.since} as const);
			if (entry !== undefined) entries.set(path, entry);
		}
		for (const lockPath of scanned.lockFiles) {
			const entry = lockEntry(lockPath, devices);
			if (entry !== undefined) entries.set(entry.address, entry);
		}
	}
	return {entries: [...entries.values()], unread};
}

function socketEntry(address: string, {since}: FoundFile, seen: Inspection | undefined): Entry | undefined {
	if (seen === undefined || seen.state === 'free') return undefined;
	const {state, holder, reason, lockPath} = seen;
	// It was found dead, and then not ours to remove.
	const isDead = state === 'blocked' && reason?.syscall === 'unlink' && reason.cause === undefined;
	return {
		address,
		state: isDead ? 'stale' : state,
		processes: [],
		holder,
		since,
		lockPath: lockPath !== undefined && fileAt(lockPath) !== undefined ? lockPath : undefined,
		reason: reasonJson(reason),
	};
}

/** Not where the lock file is a mount point of something that may hang. */
function canBeInspected(path: string, devices: readonly string[]): boolean {
	return reachable('self', `${path}.lock`, {devices, follow: false}) !== undefined;
}

/** A path that is too long for an address was bound by a relative one; it cannot be asked by that. */
async function inspectIfShort(path: string): Promise<Inspection | undefined> {
	try {
		return await inspect(path);
	} catch {
		return undefined;
	}
}

function lockEntry(lockPath: string, devices: readonly string[]): Entry | undefined {
	const address = lockPath.slice(0, -'.lock'.length);
	if (fileSeen('self', address, devices) !== undefined) return undefined;
	const lock = lockBeside('self', address, devices)?.lock;
	return lock?.recorded ? {address, state: 'held', processes: [], holder: lock.holder, lockPath} : undefined;
}
