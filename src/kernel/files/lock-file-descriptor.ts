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
	const directory = process.geteuid?.() === 0 ? openDirectory(dirname(path)) : undefined;
	try {
		const descriptor = directory === undefined ? create(path, mode) : createIn(directory, path, mode);
		attempt(() => fchmodSync(descriptor, mode));
		return descriptor;
	} finally {
		if (directory !== undefined) closeSync(directory);
	}
}

function create(path: string, mode: number): number {
	return openSync(path, flags | constants.O_CREAT | constants.O_EXCL, mode);
}

function openDirectory(path: string): number | undefined {
	if (oPath === undefined) return undefined;
	const directoryFlags = oPath | constants.O_DIRECTORY;
	return attempt(() => openSync(path, directoryFlags));
}

/**
 * Creates the file through the descriptor of its directory, with the owner of that. By path there would be a TOCTOU race:
 * a user who may replace a part of the path could let it lead to a directory of root while the file is created, and to
 * their own while the owner is read.
 */
function createIn(directory: number, path: string, mode: number): number {
	const {uid, gid} = fstatSync(directory);
	if (uid === 0) return create(path, mode);
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
