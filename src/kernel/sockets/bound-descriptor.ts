/**
 * Binding a path so that the runtime does not unlink it.
 *
 * libuv keeps the path that a handle was bound to. When the handle is closed, it unlinks that path, even if the file of
 * another server is there by then (`uv__pipe_close`). So one handle binds and is never closed. A second handle is opened
 * on its descriptor: it listens, and closing it closes the socket and unlinks nothing. The first handle is never polled,
 * has no descriptor of its own, and ends with the process (see `endWithoutCleanup`). Bun and Deno unlink the path, too;
 * there the C library binds.
 */
import {fstatSync} from 'node:fs';
import {attempt} from '../../model/attempt.js';
import type {Listener} from '../../model/system.js';
import type {NetInternals} from '../node/node-internals.js';
import {endWithoutCleanup} from '../node/process-exit.js';
import {bindByFfi, closeDescriptor, inodeOfSocket, socketError} from './ffi-sockets.js';

/** A bound socket that does not listen, and that no object of this process will close. */
export interface BoundDescriptor {
	readonly descriptor: number;
	/**
	 * Inode of the socket, not of its file: the number of the descriptor may be reused. `undefined` where Deno may not read
	 * it.
	 */
	readonly inode: number | undefined;
}

/**
 * Binds a path. The socket does not listen, so no client can connect before its mode is set.
 *
 * @returns the socket, on which one listening handle has to be opened: by {@link listenerOn}, or by Node's
 * `listen({fd})`. `undefined`, with nothing bound, in worker threads, whose handles are all closed at their end, and in
 * Deno without the permission for its FFI: there the server has to bind by itself.
 * @throws an error as `server.listen()` emits it
 */
export function bindApart(path: string): BoundDescriptor | undefined {
	if (!process.getBuiltinModule('node:worker_threads').isMainThread) return undefined;
	const descriptor = bindByFfi(path) ?? bindByHandle(path);
	return descriptor === undefined ? undefined : {descriptor, inode: attempt(() => inodeOfSocket(descriptor))};
}

function bindByHandle(path: string): number | undefined {
	const {_createServerHandle: create} = netInternals();
	if (create === undefined) return undefined;
	const handle = create(path, -1, -1);
	if (typeof handle === 'number') throw socketError(handle, 'listen', path);
	const {fd = -1} = handle;
	// A runtime that resembles Node may have another kind of descriptor.
	if (fd < 0 || attempt(() => fstatSync(fd)) === undefined) {
		handle.close?.();
		return undefined;
	}
	handle.unref();
	endWithoutCleanup();
	return fd;
}

/** Opens the handle that owns a bound socket from now on. */
export function listenerOn({descriptor}: BoundDescriptor): Listener {
	const {_createServerHandle: create} = netInternals() as Required<NetInternals>;
	const handle = create(null, null, null, descriptor);
	if (typeof handle === 'number') throw socketError(handle, 'listen', `descriptor ${descriptor}`);
	return handle;
}

/** Closes a bound socket that no server listens on, unless the server has closed it already. */
export function closeUnused(bound: BoundDescriptor): void {
	const inode = attempt(() => inodeOfSocket(bound.descriptor));
	if (inode !== undefined && inode === bound.inode) closeDescriptor(bound.descriptor);
}

function netInternals(): NetInternals {
	return process.getBuiltinModule('node:net') as NetInternals;
}
