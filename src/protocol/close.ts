/**
 * The end of serving: the socket goes first, and only if it is ours. The lock goes after that.
 */
import type {PathnameAddress} from '../model/address.js';
import {codeOf} from '../model/errors.js';
import {call, type FileStatus, type Listener, type Protocol} from '../model/system.js';
import {sameFile} from './lock-file.js';

/**
 * Unlinks the socket file if it is (still) the one that we have bound, and closes the listening socket, which unlinks
 * nothing by itself (see `bindApart`). So a server that was masked, or that has left its socket to another process,
 * touches no path.
 *
 * @param bound the file that our bind made, `undefined` if that is not known
 */
export function* stopServing(
	address: PathnameAddress,
	listener: Listener,
	bound: FileStatus | undefined,
): Protocol<undefined> {
	// Before the close: afterwards the inode is free and its number may be reused (R14).
	if (bound !== undefined) yield* unlinkIfOurs(address.path, bound);
	yield* call('closeListener', listener);
	return undefined;
}

/**
 * The same where libuv has bound the path by the listening handle, as in a worker thread: there it unlinks *by path*
 * when that is closed, whatever lies there (measured on Node 20 to 26). If we have been masked, that is the socket of
 * our successor (R11), and has to be put aside for that moment.
 *
 * @returns a path where something of somebody else had to be left, because its own was taken meanwhile
 */
export function* stopServingByLibuv(
	address: PathnameAddress,
	listener: Listener,
	bound: FileStatus | undefined,
): Protocol<string | undefined> {
	// A relative name leads elsewhere after a chdir: then our file is still where it was bound, and
	// libuv will not find it. Before the close, too: until then the inode is ours.
	if (address.bindPath !== address.path && bound !== undefined) yield* unlinkIfOurs(address.path, bound);
	// Compared before the close, as above.
	if (yield* mayUnlink(address.bindPath, bound)) {
		yield* call('closeListener', listener);
		return undefined;
	}
	return yield* closeBesides(address.bindPath, listener);
}

/** Whether unlinking the path would hit our own file, or nothing. If that cannot be told, it would not. */
function* mayUnlink(path: string, bound: FileStatus | undefined): Protocol<boolean> {
	try {
		const found = yield* call('lstat', path);
		// A directory is safe from unlink.
		if (found === undefined || found.type === 'directory') return true;
		return bound !== undefined && sameFile(found, bound);
	} catch (error) {
		// Where the path may not be walked, libuv's unlink cannot walk it either.
		return ['EACCES', 'ENOTDIR', 'ELOOP'].includes(codeOf(error));
	}
}

function* unlinkIfOurs(path: string, bound: FileStatus): Protocol<void> {
	try {
		if (sameFile(yield* call('lstat', path), bound)) yield* call('unlink', path);
	} catch {
		// Stale from now on: the next server removes it.
	}
}

/** Closes while the path leads to somebody else's file: that gets a second name, and then its own again. */
function* closeBesides(path: string, listener: Listener): Protocol<string | undefined> {
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
		// Somebody has bound there in between: theirs stays, and the other is not ours to delete. Or the
		// second name could not be removed, which harms nobody.
		return aside.path;
	}
}

/**
 * A hard link keeps the socket bound and reachable. Where links are not allowed (to another
 * user's socket, with `fs.protected_hardlinks`) it is renamed. Where that is not allowed either,
 * neither is libuv's unlink.
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
