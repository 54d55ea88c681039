/**
 * How a lock file is opened, and made so that its users can open it.
 */
import {closeSync, constants, existsSync, fchmodSync, fchownSync, fstatSync, openSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {leadsTo, oPath} from './procfs.js';

/**
 * Node adds `O_CLOEXEC`. `O_NONBLOCK` and `O_NOCTTY` mean nothing to a regular file; should
 * somebody have put a device there, opening it has no effect that lasts.
 */
const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

export function openLockFile(path: string): number {
	return openSync(path, flags);
}

/**
 * Makes the file, which must not be there. What root makes belongs to the owner of its directory afterwards: a
 * server that was started once as root would leave a file that its own user may not open.
 *
 * @param mode whatever the umask, which most programs have for the files of one user
 * @throws the error of open(2); a filesystem that cannot change owners or modes still locks
 */
export function createLockFile(path: string, mode: number): number {
	const directory = process.geteuid?.() === 0 ? othersDirectory(dirname(path)) : undefined;
	try {
		const descriptor = directory === undefined ? create(path, mode) : createIn(directory, path, mode);
		ifPossible(() => fchmodSync(descriptor, mode));
		return descriptor;
	} finally {
		if (directory !== undefined) closeSync(directory.descriptor);
	}
}

function ifPossible(change: () => void): void {
	try {
		change();
	} catch {}
}

function create(path: string, mode: number): number {
	return openSync(path, flags | constants.O_CREAT | constants.O_EXCL, mode);
}

interface Directory {
	readonly descriptor: number;
	readonly uid: number;
	readonly gid: number;
}

/** A directory that does not belong to root; `undefined` if it does, or cannot be held by a descriptor. */
function othersDirectory(path: string): Directory | undefined {
	if (oPath === undefined) return undefined;
	let descriptor: number | undefined;
	try {
		descriptor = openSync(path, oPath | constants.O_DIRECTORY);
		const {uid, gid} = fstatSync(descriptor);
		if (uid !== 0) return {descriptor, uid, gid};
	} catch {}
	if (descriptor !== undefined) closeSync(descriptor);
	return undefined;
}

/**
 * Through the descriptor, because a user who may replace a part of the path could have it lead to a directory of
 * root's while the file is made, and to one of his own while the owner is looked up.
 */
function createIn({descriptor: directory, uid, gid}: Directory, path: string, mode: number): number {
	let descriptor: number;
	try {
		descriptor = create(`/proc/self/fd/${directory}/${basename(path)}`, mode);
	} catch (error) {
		if (existsSync('/proc/self/fd')) throw error;
		return create(path, mode);
	}
	ifPossible(() => fchownSync(descriptor, uid, gid));
	return descriptor;
}

/** Closes an inherited descriptor if it refers to the file at this path. An abstract lock has no descriptor (-1). */
export function closeIfFileIs(path: string, descriptor: number): void {
	try {
		if (leadsTo(path, fstatSync(descriptor, {bigint: true}))) closeSync(descriptor);
	} catch {
		// Not inherited.
	}
}
