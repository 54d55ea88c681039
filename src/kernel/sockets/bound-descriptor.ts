/**
 * Binding a path so that libuv does not unlink it.
 *
 * libuv keeps the path that a handle was bound to. When the handle is closed, it unlinks that path, even if the file of
 * another server is there by then (`uv__pipe_close`). So one handle binds and is never closed. A second handle is opened
 * on its descriptor: it listens, and closing it closes the socket and unlinks nothing. The first handle is never polled,
 * has no descriptor of its own, and ends with the process (see `endWithoutCleanup`).
 */
import {closeSync, fstatSync} from 'node:fs';
import {getSystemErrorMap} from 'node:util';
import {attempt} from '../../model/attempt.js';
import type {Listener} from '../../model/system.js';
import type {NetInternals} from '../node/node-internals.js';
import {endWithoutCleanup} from '../node/process-exit.js';

/** A bound socket that does not listen, and that no object of this process will close. */
export interface BoundDescriptor {
	readonly descriptor: number;
	/** Inode of the socket, not of its file: the number of the descriptor may be reused. */
	readonly inode: number;
}

/**
 * Binds a path. The socket does not listen, so no client can connect before its mode is set.
 *
 * @returns the socket, on which one listening handle has to be opened: by {@link listenerOn}, or by Node's
 * `listen({fd})`. `undefined`, with nothing bound, in worker threads, whose handles are all closed at their end, and in
 * runtimes other than Node: there the server has to bind by itself.
 * @throws an error as `server.listen()` emits it
 */
export function bindApart(path: string): BoundDescriptor | undefined {
	const {_createServerHandle: create} = netInternals();
	if (create === undefined || !process.getBuiltinModule('node:worker_threads').isMainThread) return undefined;
	const handle = create(path, -1, -1);
	if (typeof handle === 'number') throw listenError(handle, path);
	const {fd = -1} = handle;
	if (fd < 0) {
		handle.close();
		return undefined;
	}
	handle.unref();
	endWithoutCleanup();
	return {descriptor: fd, inode: fstatSync(fd).ino};
}

/** Opens the handle that owns a bound socket from now on. */
export function listenerOn({descriptor}: BoundDescriptor): Listener {
	const {_createServerHandle: create} = netInternals() as Required<NetInternals>;
	const handle = create(null, null, null, descriptor);
	if (typeof handle === 'number') throw listenError(handle, `descriptor ${descriptor}`);
	return handle;
}

/** Closes a bound socket that no server listens on, unless the server has closed it already. */
export function closeUnused(bound: BoundDescriptor): void {
	const inode = attempt(() => fstatSync(bound.descriptor).ino);
	if (inode === bound.inode) closeSync(bound.descriptor);
}

function netInternals(): NetInternals {
	return process.getBuiltinModule('node:net') as NetInternals;
}

/** Returns an error as Node makes it (`ExceptionWithHostPort`). */
function listenError(errno: number, path: string): Error {
	const [code, text] = getSystemErrorMap().get(errno) ?? ['UNKNOWN', 'unknown error'];
	const error = new Error(`listen ${code}: ${text} ${path}`);
	return Object.assign(error, {code, errno, syscall: 'listen', address: path});
}
