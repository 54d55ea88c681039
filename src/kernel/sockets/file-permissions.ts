/**
 * The permissions of a socket file that this process has just bound.
 */
import {chmodSync, chownSync, constants, fstatSync, lchmodSync, lchownSync, lstatSync, type Stats} from 'node:fs';
import {oPath, withOpen} from '../files/opening.js';

/** The owner of a socket file. */
export interface FileOwner {
	/** User id; `undefined`: unchanged. */
	readonly uid: number | undefined;
	/** Group id; `undefined`: unchanged. */
	readonly gid: number | undefined;
}

/**
 * Changes the mode, and then the owner, of the socket file at the path.
 *
 * It uses a descriptor. `chmod(path)`, and so libuv's `uv_pipe_chmod`, follows a symbolic link that a neighbour with
 * write permission to the directory has put there since bind(2), and would change a file elsewhere.
 *
 * @param began `Date.now()` before the bind
 * @throws an error with `code: 'ERR_ADDRESS_LOST'` if the file at the path cannot be the one that was bound
 */
export function changePermissions(
	path: string,
	began: number,
	change: (mode: number) => number,
	owner: FileOwner | undefined,
): void {
	if (oPath === undefined) {
		const found = checked(lstatSync(path), began);
		lchmodSync(path, change(found.mode & 0o777));
		if (owner !== undefined) lchownSync(path, owner.uid ?? found.uid, owner.gid ?? found.gid);
		return;
	}
	withOpen(path, oPath | constants.O_NOFOLLOW, descriptor => {
		const {mode, uid, gid} = checked(fstatSync(descriptor), began);
		const link = `/proc/self/fd/${descriptor}`;
		chmodSync(link, change(mode & 0o777));
		if (owner !== undefined) chownSync(link, owner.uid ?? uid, owner.gid ?? gid);
	});
}

/** The clock of a filesystem may count whole seconds, or be a little behind. */
const clockToleranceMs = 2000;

/** A neighbour may have put another socket of ours there, by rename(2) or link(2), to have its mode changed. */
function checked(found: Stats, began: number): Stats {
	const isNew = found.mtimeMs >= began - clockToleranceMs;
	if (found.isSocket() && found.nlink === 1 && found.uid === process.geteuid?.() && isNew) return found;
	const error = new Error('it was replaced before its mode could be set, or the clock of its filesystem is behind');
	throw Object.assign(error, {code: 'ERR_ADDRESS_LOST'});
}
