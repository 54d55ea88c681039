/**
 * The end of serving: the socket goes first, and only if it is ours. The lock goes after that.
 */
import type {PathnameAddress} from '../address.js';
import {call, type FileStatus, type Listener, type Protocol} from './calls.js';
import {sameFile} from './lockfile.js';

/**
 * Closes the listening socket so that only our own file goes. libuv unlinks *by path* when it
 * closes, whatever lies there (measured on Node 20 to 26): if we have been masked, that is the
 * socket of our successor (R11).
 *
 * @param bound the file that our bind made, `undefined` if that is not known
 * @returns a path where something of somebody else had to be left, because its own was taken meanwhile
 */
export function* stopServing(
	address: PathnameAddress,
	listener: Listener,
	bound: FileStatus | undefined,
): Protocol<string | undefined> {
	// Compared before the close: afterwards the inode is free and its number may be reused (R14).
	const found = yield* lstatOrNothing(address.bindPath);
	const ours = found !== undefined && bound !== undefined && sameFile(found, bound);
	let left: string | undefined;
	// A directory is safe from unlink.
	if (found === undefined || ours || found.type === 'directory') yield* call('closeListener', listener);
	else left = yield* closeBesides(address.bindPath, listener);
	// A relative name leads elsewhere after a chdir: then our file is still where it was bound.
	if (address.bindPath !== address.path && bound !== undefined) yield* unlinkIfOurs(address.path, bound);
	return left;
}

function* unlinkIfOurs(path: string, bound: FileStatus): Protocol<void> {
	const found = yield* lstatOrNothing(path);
	if (found !== undefined && sameFile(found, bound)) yield* call('unlink', path);
}

/** Where we may not even look, libuv's unlink fails as well. */
function* lstatOrNothing(path: string): Protocol<FileStatus | undefined> {
	try {
		return yield* call('lstat', path);
	} catch {
		return undefined;
	}
}

/** Closes while the path leads to somebody else's file: that gets a second name, and then its own again. */
function* closeBesides(path: string, listener: Listener): Protocol<string | undefined> {
	const aside = yield* setAside(path);
	yield* call('closeListener', listener);
	if (aside === undefined) return undefined;
	try {
		if (aside.linked) yield* call('link', aside.path, path);
		else if ((yield* call('lstat', path)) === undefined) yield* call('rename', aside.path, path);
		else return aside.path;
	} catch {
		// Somebody has bound there in between. Theirs stays, and the other is not ours to delete.
		return aside.path;
	}
	if (aside.linked) yield* call('unlink', aside.path);
	return undefined;
}

/**
 * A hard link keeps the socket bound and reachable. Where links are not allowed (to another
 * user's socket, with `fs.protected_hardlinks`) it is renamed. Where that is not allowed either,
 * neither is libuv's unlink.
 */
function* setAside(path: string): Protocol<{path: string; linked: boolean} | undefined> {
	for (let number = 0; number < 100; number++) {
		const aside = `${path}.aside${number}`;
		if ((yield* call('lstat', aside)) !== undefined) continue;
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
