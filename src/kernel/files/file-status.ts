/**
 * The status of a file. Device and inode numbers are bigints: a double does not hold every 64-bit number.
 */
import {type BigIntStats, constants, fstatSync, lstatSync} from 'node:fs';
import {attempt} from '../../model/attempt.js';
import type {FileStatus} from '../../model/system.js';

export function statusOfDescriptor(descriptor: number): FileStatus {
	return forgotten(fileStatus(fstatSync(descriptor, {bigint: true})));
}

/** Does not follow a symbolic link. Returns `undefined` if there is no file. */
export function statusOfPath(path: string): FileStatus | undefined {
	const found = lstatSync(path, {bigint: true, throwIfNoEntry: false});
	return found && forgotten(fileStatus(found));
}

/**
 * Makes Node forget that it saw a socket. Node keeps the numbers of the last stat, and its next `realpathSync` resolves no
 * further if they are those of a socket (lib/fs.js, `statValues`). An `import()` of a CommonJS package through a symbolic
 * link then gave an empty module (measured on Node 22.23).
 */
function forgotten(status: FileStatus): FileStatus {
	if (status.type === 'socket' || status.type === 'other') attempt(() => lstatSync('/'));
	return status;
}

function fileStatus({dev, ino, mode, nlink, size, uid}: BigIntStats): FileStatus {
	return {
		dev,
		ino,
		type: typeOf(Number(mode)),
		mode: Number(mode) & 0o7777,
		nlink: Number(nlink),
		size: Number(size),
		uid: Number(uid),
	};
}

function typeOf(mode: number): FileStatus['type'] {
	switch (mode & constants.S_IFMT) {
		case constants.S_IFREG:
			return 'file';
		case constants.S_IFDIR:
			return 'directory';
		case constants.S_IFSOCK:
			return 'socket';
		case constants.S_IFLNK:
			return 'symlink';
		default:
			return 'other';
	}
}
