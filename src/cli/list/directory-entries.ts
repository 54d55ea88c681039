/**
 * The rows for files in directories to which no process is bound: stale sockets, and locks whose
 * server has not bound yet.
 */
import type {BigIntStats} from 'node:fs';
import {inspect} from '../../api/inspect.js';
import {reachable} from '../../kernel/mounts/reachable.js';
import type {Inspection} from '../../protocol/inspection.js';
import {reasonJson} from '../json.js';
import {readLockBeside} from '../lock-reader.js';
import {scanDirectory} from './directory-scan.js';
import type {Entry} from './entry.js';
import {findFile, inodeKey} from './found-file.js';
import type {ListedSocket} from './socket-table.js';

/**
 * Searches directories.
 *
 * @param bound the bound sockets, whose files are skipped
 * @param devices of mounts that are looked at whatever their type
 * @returns the rows, and the errors of subdirectories that could not be read
 * @throws the error of a directory that cannot be read itself
 */
export async function directoryEntries(
	directories: readonly string[],
	bound: readonly ListedSocket[],
	devices: readonly string[],
): Promise<{readonly entries: readonly Entry[]; readonly errors: readonly string[]}> {
	const boundFiles = new Set(bound.map(({file, ownsFile}) => file && ownsFile !== false && inodeKey(file)));
	const entries = new Map<string, Entry>();
	const errors: string[] = [];
	for (const directory of directories) {
		const scan = scanDirectory(directory);
		errors.push(...scan.errors);
		for (const path of scan.sockets) {
			const file = findFile('self', path, devices);
			if (file === undefined || boundFiles.has(inodeKey(file))) continue;
			// A path that is too long for an address was bound by a relative path.
			const entry = canBeInspected(path, devices)
				? socketEntry(path, file, await inspect(path).catch(() => undefined), devices)
				: ({address: path, state: 'unknown', processes: [], since: file.mtime} as const);
			if (entry !== undefined) entries.set(path, entry);
		}
		for (const lockPath of scan.lockFiles) {
			const entry = lockEntry(lockPath, devices);
			if (entry !== undefined) entries.set(entry.address, entry);
		}
	}
	return {entries: [...entries.values()], errors};
}

function socketEntry(
	address: string,
	{mtime: since}: BigIntStats,
	inspection: Inspection | undefined,
	devices: readonly string[],
): Entry | undefined {
	if (inspection === undefined || inspection.state === 'free') return undefined;
	const {state, holder, reason, lockPath} = inspection;
	// The socket is stale, but only its owner or root may remove it.
	const isStale = state === 'blocked' && reason?.syscall === 'unlink' && reason.cause === undefined;
	return {
		address,
		state: isStale ? 'stale' : state,
		processes: [],
		holder,
		since,
		lockPath: lockPath !== undefined && findFile('self', lockPath, devices) !== undefined ? lockPath : undefined,
		reason: reasonJson(reason),
	};
}

/** Returns false if the lock file is on a mount that may hang. */
function canBeInspected(path: string, devices: readonly string[]): boolean {
	return reachable('self', `${path}.lock`, {devices, follow: false}) !== undefined;
}

function lockEntry(lockPath: string, devices: readonly string[]): Entry | undefined {
	const address = lockPath.slice(0, -'.lock'.length);
	if (findFile('self', address, devices) !== undefined) return undefined;
	const lock = readLockBeside('self', address, devices)?.lock;
	return lock?.hasRecord ? {address, state: 'held', processes: [], holder: lock.holder, lockPath} : undefined;
}
