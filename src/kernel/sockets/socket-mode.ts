/**
 * The permissions of a socket file that this process has just bound.
 */
import {chmodSync, constants, fstatSync, lchmodSync, lstatSync, type Stats} from 'node:fs';
import {oPath, withOpen} from '../files/opening.js';

/**
 * Changes the mode of the socket file at the path.
 *
 * It uses a descriptor. `chmod(path)`, and so libuv's `uv_pipe_chmod`, follows a symbolic link that a neighbour with
 * write permission to the directory has put there since bind(2), and would change a file elsewhere.
 *
 * @param began `Date.now()` before the bind
 * @throws an error with `code: 'ERR_ADDRESS_LOST'` if the file at the path cannot be the one that was bound
 */
export function changeSocketMode(path: string, began: number, change: (mode: number) => number): void {
	if (oPath === undefined) {
		lchmodSync(path, change(checked(lstatSync(path), began).mode & 0o777));
		return;
	}
	withOpen(path, oPath | constants.O_NOFOLLOW, descriptor => {
		const {mode} = checked(fstatSync(descriptor), began);
		chmodSync(`/proc/self/fd/${descriptor}`, change(mode & 0o777));
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
