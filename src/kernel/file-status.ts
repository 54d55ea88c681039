/**
 * What a file is, in numbers that are exact.
 */
import {type BigIntStats, constants, fstatSync, lstatSync, type Stats} from 'node:fs';
import type {FileStatus} from '../model/system.js';

export function statusOfDescriptor(descriptor: number): FileStatus {
	const found = fstatSync(descriptor);
	return forgotten(statusOf(isExact(found) ? found : fstatSync(descriptor, {bigint: true})));
}

/** Of the link itself, if it is one; `undefined` if nothing is there. */
export function statusOfPath(path: string): FileStatus | undefined {
	const found = lstatSync(path, ifFound);
	if (found === undefined) return undefined;
	const exactly = isExact(found) ? found : lstatSync(path, {bigint: true, throwIfNoEntry: false});
	return exactly && forgotten(statusOf(exactly));
}

const ifFound = {throwIfNoEntry: false} as const;

/**
 * Node keeps the numbers of the last stat where its `realpathSync` then looks whether it was at a socket
 * (lib/fs.js, `statValues`) and, if so, resolves no further: so an `import()` of a CommonJS package that is
 * reached by a symbolic link was an empty module (measured on Node 22.23). Another stat makes it forget.
 */
function forgotten(status: FileStatus): FileStatus {
	if (status.type === 'socket' || status.type === 'other') lstatSync('/');
	return status;
}

/** Numbers of up to 53 bits are exact, and cheaper to get than bigints; few filesystems use more for an inode. */
function isExact({dev, ino}: Stats): boolean {
	return ino <= Number.MAX_SAFE_INTEGER && dev <= Number.MAX_SAFE_INTEGER;
}

function statusOf({dev, ino, mode, nlink, size, uid}: Stats | BigIntStats): FileStatus {
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
