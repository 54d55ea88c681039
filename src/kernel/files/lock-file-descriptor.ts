/**
 * Opening a lock file, and creating it so that its later users can open it.
 */
import {closeSync, constants, existsSync, fchmodSync, fchownSync, fstatSync, openSync, statSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {attempt} from '../../model/attempt.js';
import {isSameFile} from '../../model/file-identity.js';
import {oPath} from './opening.js';

/**
 * Node adds `O_CLOEXEC`. `O_NONBLOCK` and `O_NOCTTY` have no effect on a regular file. Should a device be there, they
 * keep open(2) from any lasting effect.
 */
const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

export function openExistingLockFile(path: string): number {
	return openSync(path, flags);
}

/**
 * Creates the file, which must not exist.
 *
 * A file that root creates gets the owner of its directory: otherwise a server that was once started as root would leave
 * a file that its own user cannot open.
 *
 * @param mode set whatever the umask
 * @throws the error of open(2); a failed change of owner or mode is ignored, as the file can be locked all the same
 */
export function createLockFile(path: string, mode: number): number {
	const directory = process.geteuid?.() === 0 ? openOthersDirectory(dirname(path)) : undefined;
	try {
		const descriptor = directory === undefined ? create(path, mode) : createIn(directory, path, mode);
		attempt(() => fchmodSync(descriptor, mode));
		return descriptor;
	} finally {
		if (directory !== undefined) closeSync(directory.descriptor);
	}
}

function create(path: string, mode: number): number {
	return openSync(path, flags | constants.O_CREAT | constants.O_EXCL, mode);
}

interface OwnedDirectory {
	readonly descriptor: number;
	readonly uid: number;
	readonly gid: number;
}

/**
 * Opens a directory of another user; `undefined` if root owns it, or it cannot be opened. A directory of root is closed
 * at once, so that the lock file can be created with a single free descriptor.
 */
function openOthersDirectory(path: string): OwnedDirectory | undefined {
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
 * Creates the file through the descriptor of its directory. By path there would be a TOCTOU race: a user who may replace
 * a part of the path could let it lead to a directory of root while the file is created, and to their own while the owner
 * is read.
 */
function createIn({descriptor: directory, uid, gid}: OwnedDirectory, path: string, mode: number): number {
	let descriptor: number;
	try {
		descriptor = create(`/proc/self/fd/${directory}/${basename(path)}`, mode);
	} catch (error) {
		if (existsSync('/proc/self/fd')) throw error;
		return create(path, mode);
	}
	attempt(() => fchownSync(descriptor, uid, gid));
	return descriptor;
}

/** Closes an inherited descriptor if it refers to the file at this path. */
export function closeIfFileIs(path: string, descriptor: number): void {
	try {
		if (isSameFile(statSync(path, {bigint: true}), fstatSync(descriptor, {bigint: true}))) closeSync(descriptor);
	} catch {
		// The descriptor was not inherited, or the file is gone.
	}
}
