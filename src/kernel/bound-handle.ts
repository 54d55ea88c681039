/**
 * Binding a path so that libuv does not unlink it.
 *
 * libuv remembers the path that a handle was bound to, and unlinks it when the handle is closed, whatever lies there by
 * then (`uv__pipe_close`). So one handle binds and is never closed, and a second one is opened on its descriptor: that
 * one listens, and closing it closes the socket and touches no path. The first handle is never polled, holds no
 * descriptor of its own, and ends with the process (see `endWithoutCleanup`).
 */
import {chmodSync, closeSync, constants, fstatSync, lchmodSync, lstatSync, openSync, type Stats} from 'node:fs';
import {getSystemErrorMap} from 'node:util';
import type {Listener} from '../model/system.js';
import {endWithoutCleanup} from './net-server.js';
import {oPath} from './procfs.js';

/** A bound socket that nothing in this process owns yet. */
export interface BoundSocket {
	readonly descriptor: number;
	/** Of the socket, not of its file: the descriptor's number may be used again. */
	readonly inode: number;
}

/**
 * Binds; the socket does not listen yet, so nobody can connect before its mode is right.
 *
 * @returns the socket, of which one listening handle has to be made: by {@link listenerOn}, or by Node's `listen({fd})`.
 * `undefined` where this cannot be done, and nothing was: in a worker thread, whose handles are all closed at its end,
 * and in runtimes other than Node. There the server has to bind by itself.
 * @throws an error as `server.listen()` emits it
 */
export function bindApart(path: string): BoundSocket | undefined {
	const {_createServerHandle: create} = process.getBuiltinModule('node:net') as Partial<Internals>;
	if (create === undefined || !process.getBuiltinModule('node:worker_threads').isMainThread) return undefined;
	const handle = create(path, -1, -1);
	if (typeof handle === 'number') throw bindError(handle, path);
	const {fd = -1} = handle;
	if (fd < 0) {
		handle.close();
		return undefined;
	}
	handle.unref();
	endWithoutCleanup();
	return {descriptor: fd, inode: fstatSync(fd).ino};
}

/** The handle that owns a bound socket from now on. */
export function listenerOn({descriptor}: BoundSocket): Listener {
	const {_createServerHandle: create} = process.getBuiltinModule('node:net') as unknown as Internals;
	const handle = create(null, null, null, descriptor);
	if (typeof handle === 'number') throw bindError(handle, `descriptor ${descriptor}`);
	return handle;
}

/** Closes a bound socket that no server listens on, unless the server has done so already. */
export function closeUnused(bound: BoundSocket): void {
	try {
		if (fstatSync(bound.descriptor).ino !== bound.inode) return;
	} catch {
		return;
	}
	(listenerOn(bound) as Handle).close();
}

/** As Node makes it (`ExceptionWithHostPort`). */
function bindError(errno: number, path: string): Error {
	const [code, text] = getSystemErrorMap().get(errno) ?? ['UNKNOWN', 'unknown error'];
	const error = new Error(`listen ${code}: ${text} ${path}`);
	return Object.assign(error, {code, errno, syscall: 'listen', address: path});
}

/** A clock of the filesystem may count whole seconds, or be a little behind. */
const clockToleranceMs = 2000;

/**
 * Changes the mode of the socket file that this process has bound at a path just now. By a descriptor: `chmod(path)`
 * follows a symbolic link that a neighbour with write permission to the directory has put there since, and would
 * change a file elsewhere (`uv_pipe_chmod` of libuv does the same).
 *
 * @param began `Date.now()` before the bind
 * @throws an error with `code: 'ERR_ADDRESS_LOST'` if the file at the path cannot be that one
 */
export function changeMode(path: string, began: number, change: (mode: number) => number): void {
	if (oPath === undefined) {
		lchmodSync(path, change(verified(lstatSync(path), began).mode & 0o777));
		return;
	}
	const descriptor = openSync(path, oPath | constants.O_NOFOLLOW);
	try {
		const {mode} = verified(fstatSync(descriptor), began);
		chmodSync(`/proc/self/fd/${descriptor}`, change(mode & 0o777));
	} finally {
		closeSync(descriptor);
	}
}

/** A neighbour may have put another socket of ours there, by a rename or a hard link, to have its mode changed. */
function verified(found: Stats, began: number): Stats {
	const isNew = found.mtimeMs >= began - clockToleranceMs;
	if (found.isSocket() && found.nlink === 1 && found.uid === process.geteuid?.() && isNew) return found;
	const error = new Error('it was replaced before its mode could be set, or the clock of its filesystem is behind');
	throw Object.assign(error, {code: 'ERR_ADDRESS_LOST'});
}

/** What `net` has had since Node 0.x, without its being documented. */
interface Internals {
	_createServerHandle(
		address: string | null,
		port: number | null,
		addressType: number | null,
		descriptor?: number,
	): Handle | number;
}

interface Handle {
	readonly fd?: number;
	close(): void;
	unref(): void;
}
