/**
 * The end of a server: the socket file is unlinked if it is its own, and the socket is closed. The lock is released
 * after that.
 */

import type {PathnameAddress} from '../model/address.js';
import {call, type Protocol} from '../model/driver.js';
import {codeOf} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import type {FileStatus, Listener} from '../model/system.js';

/**
 * Unlinks the socket file if it is the one that was bound, and closes the listening socket. Closing unlinks nothing
 * (see `bindApart`), so a masked server, and one whose successor serves, touches no path.
 *
 * @param bound the file that bind() created; `undefined` if it is unknown
 */
export function* closeSocket(
	address: PathnameAddress,
	listener: Listener,
	bound: FileStatus | undefined,
): Protocol<undefined> {
	// Before the close: afterwards the inode may be freed and its number reused (R14).
	if (bound !== undefined) yield* unlinkIfSame(address.path, bound);
	yield* call('closeListener', listener);
	return undefined;
}

/**
 * Does the same where libuv has bound the path by the listening handle, as in a worker thread. libuv then unlinks the
 * *path* on close, whatever file it leads to (measured on Node 20 to 26). For a masked server that is the socket of its
 * successor (R11), which is set aside meanwhile.
 *
 * @returns the path at which another server's file was left, because its own path was taken meanwhile
 */
export function* closeSocketByLibuv(
	address: PathnameAddress,
	listener: Listener,
	bound: FileStatus | undefined,
): Protocol<string | undefined> {
	// After a chdir the relative path that libuv unlinks leads elsewhere. The file is still where it was bound. Before the
	// close, for the reason above.
	if (address.bindPath !== address.path && bound !== undefined) yield* unlinkIfSame(address.path, bound);
	if (yield* isUnlinkSafe(address.bindPath, bound)) {
		yield* call('closeListener', listener);
		return undefined;
	}
	return yield* closeBesideOther(address.bindPath, listener);
}

/** Whether unlinking the path removes the own file or nothing. Unknown counts as unsafe. */
function* isUnlinkSafe(path: string, bound: FileStatus | undefined): Protocol<boolean> {
	try {
		const found = yield* call('lstat', path);
		// unlink() does not remove directories.
		if (found === undefined || found.type === 'directory') return true;
		return bound !== undefined && isSameFile(found, bound);
	} catch (error) {
		// libuv cannot unlink a path that cannot be resolved.
		return ['EACCES', 'ENOTDIR', 'ELOOP'].includes(codeOf(error));
	}
}

function* unlinkIfSame(path: string, bound: FileStatus): Protocol<void> {
	try {
		if (isSameFile(yield* call('lstat', path), bound)) yield* call('unlink', path);
	} catch {
		// The file becomes stale, and the next server removes it.
	}
}

/** Closes while the path leads to another server's file, which gets a second name meanwhile. */
function* closeBesideOther(path: string, listener: Listener): Protocol<string | undefined> {
	const aside = yield* setAside(path);
	yield* call('closeListener', listener);
	if (aside === undefined) return undefined;
	try {
		if (aside.linked) {
			yield* call('link', aside.path, path);
			yield* call('unlink', aside.path);
			return undefined;
		}
		if ((yield* call('lstat', path)) !== undefined) return aside.path;
		yield* call('rename', aside.path, path);
		return undefined;
	} catch {
		// A third server has bound the path meanwhile, or the second name could not be removed, which is harmless.
		return aside.path;
	}
}

/**
 * Gives the file a second name. A hard link keeps the socket bound and reachable. Where links are forbidden (another
 * user's socket, with `fs.protected_hardlinks`), the file is renamed. Where that is forbidden too, libuv's unlink is.
 */
function* setAside(path: string): Protocol<{path: string; linked: boolean} | undefined> {
	for (let number = 0; number < 100; number++) {
		const aside = `${path}.aside${number}`;
		if (!(yield* isFree(aside))) continue;
		for (const how of ['link', 'rename'] as const) {
			try {
				yield* call(how, path, aside);
				return {path: aside, linked: how === 'link'};
			} catch {}
		}
		return undefined;
	}
	return undefined;
}

function* isFree(path: string): Protocol<boolean> {
	try {
		return (yield* call('lstat', path)) === undefined;
	} catch {
		return false;
	}
}
