/**
 * Unix sockets by the C library, for runtimes whose own sockets unlink a path on close (Bun, Deno), or do not take the
 * names of abstract locks (Bun).
 */
import {closeSync, fstatSync, statSync} from 'node:fs';
import {getSystemErrorMap} from 'node:util';
import {attempt} from '../../model/attempt.js';
import {openByBun} from '../ffi/bun.js';
import type {CFunctions} from '../ffi/c-library.js';
import {openByDeno} from '../ffi/deno.js';

const signatures = {
	socket: ['int', 'int', 'int'],
	bind: ['int', 'buffer', 'int'],
	connect: ['int', 'buffer', 'int'],
	close: ['int'],
} as const;

/** `false`: there is no such FFI, or it may not be used. */
let library: CFunctions<keyof typeof signatures> | false | undefined;

function openLibrary(): typeof library {
	// Node has no need of it: its own handles can be bound apart.
	library ??= attempt(() => openByBun(signatures)) ?? attempt(() => openByDeno(signatures)) ?? false;
	return library;
}

/** From <sys/socket.h> of Linux. */
const afUnix = 1;
const sockStream = 1;
const sockNonBlocking = 0o4000;
const sockCloseOnExec = 0o2000000;

/**
 * Binds a stream socket to a path or an abstract name (`\\0name`), whose length is kept (`unix(7)`).
 *
 * @returns the descriptor; `undefined` if the runtime is not Bun or Deno, or its FFI may not be used, or outside of Linux
 * @throws an error as `server.listen()` emits it
 */
export function bindByFfi(path: string): number | undefined {
	return createAnd('bind', 'listen', path);
}

/**
 * Connects to an abstract name of any length. The answer of the kernel comes at once, as in `connect(2)`.
 *
 * @returns the descriptor, for `net.connect({fd})`; `undefined` where the runtime itself can do it
 * @throws an error as `net.connect()` emits it
 */
export function connectByFfi(name: string): number | undefined {
	return 'Bun' in globalThis ? createAnd('connect', 'connect', name) : undefined;
}

function createAnd(action: 'bind' | 'connect', syscall: string, path: string): number | undefined {
	const calls = process.platform === 'linux' ? openLibrary() : false;
	if (!calls) return undefined;
	const descriptor = calls.socket(afUnix, sockStream | sockNonBlocking | sockCloseOnExec, 0);
	if (descriptor < 0) throw socketError(descriptor, syscall, path);
	const address = socketAddress(path);
	const result = calls[action](descriptor, address, address.length);
	if (result === 0) return descriptor;
	calls.close(descriptor);
	throw socketError(result, syscall, path);
}

/** Returns a `struct sockaddr_un`; a path ends with a NUL. */
function socketAddress(path: string): Uint8Array {
	const name = new TextEncoder().encode(path.startsWith('\0') ? path : `${path}\0`);
	const address = new Uint8Array(2 + name.length);
	new Uint16Array(address.buffer, 0, 1)[0] = afUnix;
	address.set(name, 2);
	return address;
}

/** Returns the inode of a socket. Deno's `fstat` knows only files that it has opened itself. */
export function inodeOfSocket(descriptor: number): number {
	return (attempt(() => fstatSync(descriptor)) ?? statSync(`/proc/self/fd/${descriptor}`)).ino;
}

/** Closes a descriptor that the runtime may not know. */
export function closeDescriptor(descriptor: number): void {
	const calls = openLibrary();
	if (calls) calls.close(descriptor);
	else closeSync(descriptor);
}

/** Returns an error as Node makes it (`ExceptionWithHostPort`). */
export function socketError(errno: number, syscall: string, path: string): Error {
	const [code, text] = getSystemErrorMap().get(errno) ?? ['UNKNOWN', 'unknown error'];
	const error = new Error(`${syscall} ${code}: ${text} ${path}`);
	return Object.assign(error, {code, errno, syscall, address: path});
}
