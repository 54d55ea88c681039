/**
 * The one place that reaches into a `net.Server`: letting it listen, and getting between it and libuv when it stops.
 */
import type {ListenOptions, Server} from 'node:net';
import type {Listener} from '../model/system.js';

export type {Server} from 'node:net';

/**
 * Binds and listens.
 *
 * @param bound is called at once when the socket is bound, before anybody can have closed it
 * @returns when the server has emitted `'listening'`; rejects with what it emitted as `'error'`
 */
export function bindServer(server: Server, options: ListenOptions, bound: () => void): Promise<void> {
	return untilListening(server, () => server.listen(bypassing(options)), bound);
}

/** For every copy of bindlock that has patched `listen`: these options are of one that has the lock already. */
const bypass: symbol = Symbol.for('bindlock.bypass');

/** Options for a `listen` that is our own, and not to be locked (again). */
export function bypassing(options: ListenOptions): ListenOptions {
	return {...options, [bypass]: true} as ListenOptions;
}

export function isBypassed(options: object): boolean {
	return bypass in options;
}

/**
 * Listens on a descriptor that is bound to the path. Otherwise as {@link bindServer}.
 */
export function listenOnDescriptor(
	server: Server,
	descriptor: number,
	{path, backlog}: {readonly path: string; readonly backlog: number},
	bound: () => void,
): Promise<void> {
	return untilListening(
		server,
		() => {
			// Node takes the backlog of a descriptor from the second argument only.
			server.listen(bypassing({fd: descriptor} as ListenOptions), backlog);
			nameServer(server, path);
		},
		bound,
	);
}

/** What `server.address()` tells, where Node does not know it. */
export function nameServer(server: Server, path: string): void {
	(server as unknown as Internals)._pipeName = path;
}

/** Listens on a socket that another process shares with us. Otherwise as {@link bindServer}. */
export function adoptListener(
	server: Server,
	listener: Listener,
	options: ListenOptions,
	bound: () => void,
): Promise<void> {
	const internals = server as unknown as Internals;
	return untilListening(
		server,
		() => {
			// Not by `listen(handle)`: that makes a second handle for the same descriptor, and both would close it.
			internals._handle = listener as Handle;
			internals._listen2(null, -1, -1, options.backlog ?? 511);
			internals._pipeName = options.path;
		},
		bound,
	);
}

function untilListening(server: Server, listen: () => void, bound: () => void): Promise<void> {
	return new Promise((resolve, reject) => {
		let told = false;
		const tellBound = (): void => {
			if (told) return;
			told = true;
			bound();
		};
		const settle = (outcome: () => void): void => {
			server.off('listening', onListening).off('error', onError).off('close', onClose);
			outcome();
		};
		const onListening = (): void => {
			try {
				tellBound();
				settle(resolve);
			} catch (error) {
				onError(error as Error);
			}
		};
		const onError = (error: Error): void => settle(() => reject(error));
		const onClose = (): void => {
			// Of what it listened on before: that comes a tick after its end, or when the last connection ends.
			if (server.listening) return;
			settle(() => reject(Object.assign(new Error('the server was closed'), {code: 'ERR_SERVER_NOT_RUNNING'})));
		};
		// Before listeners that may throw.
		server.prependListener('listening', onListening).prependListener('error', onError).on('close', onClose);
		try {
			listen();
			// A path is bound inside listen(); 'listening' comes a tick later.
			if (server.listening) tellBound();
		} catch (error) {
			onError(error as Error);
		}
	});
}

/**
 * Calls `stop` instead of closing the listening handle, whoever closes it and by whichever method
 * of whichever subclass: this is the point behind which the socket is closed. Node has no public
 * way to get there; `_handle` is as old as Node.
 */
export function interceptClose(server: Server, stop: (listener: Listener) => void): void {
	const handle = handleOf(server);
	if (handle === null) return;
	const close = handle.close;
	handle.close = (...parameters) => {
		handle.close = close;
		stop({close: () => close.apply(handle, parameters)});
	};
}

/**
 * Takes the listening handle away from the server, which keeps its connections, emits no
 * `'close'`, and can listen again.
 */
export function detachListener(server: Server): Listener | undefined {
	const handle = handleOf(server);
	if (handle === null) return undefined;
	delete (handle as Partial<Handle>).close;
	(server as unknown as Internals)._handle = null;
	return handle;
}

/** The listening socket, as the `send` of Node's IPC takes it. */
export function listenerOf(server: Server): Listener | undefined {
	return handleOf(server) ?? undefined;
}

/** Node tells it of no server, but a listening handle has always had it. */
export function descriptorOf(listener: Listener | undefined): number | undefined {
	return (listener as Handle | undefined)?.fd;
}

/** Connections on which no request was begun yet may be about to begin one; those that were idle before are closed after that. */
const idleMs = 1000;

/**
 * Stops listening; open connections go on, and `'close'` comes at their end. Not by the `close()` of an HTTP server:
 * that cuts off connections that were accepted just now, before their request could be read (measured on Node 26).
 */
export function stopListening(server: Server): void {
	process.getBuiltinModule('node:net').Server.prototype.close.call(server);
	const {closeIdleConnections} = server as {closeIdleConnections?(): void};
	if (closeIdleConnections !== undefined) setTimeout(() => closeIdleConnections.call(server), idleMs).unref();
}

/**
 * When its event loop is empty, Node closes all handles that are left before it ends, and libuv unlinks the paths that
 * they were bound to (measured on Node 20 to 26). `process.exit()` does not close them, and its second half is public
 * as `process.reallyExit` only. So from now on this process always ends in that way, once the listeners of `'exit'`
 * have run. Not by such a listener: others may remove it, or throw before it has its turn.
 */
export function endWithoutCleanup(): void {
	if (ends) return;
	ends = true;
	const emit = process.emit as (name: string, ...all: unknown[]) => boolean;
	process.on('uncaughtExceptionMonitor', noteFailure);
	process.emit = ((name: string, ...all: unknown[]) => {
		// A program may emit it, too, without being about to end.
		if (name !== 'exit' || !internals()._exiting) return emit.call(process, name, ...all);
		try {
			emit.call(process, name, ...all);
		} catch (error) {
			if (process.listenerCount('uncaughtException') === 0) throw error;
			emit.call(process, 'uncaughtException', error, 'uncaughtException');
		}
		if (!failing) internals().reallyExit(Number(process.exitCode ?? all[0]));
		return true;
	}) as typeof process.emit;
}

let ends = false;
let failing = false;

/** Then Node prints the error after the listeners of `'exit'`, and ends without that cleanup by itself. */
function noteFailure(): void {
	failing = process.listenerCount('uncaughtException') === 0 && !process.hasUncaughtExceptionCaptureCallback();
}

function internals(): {readonly _exiting?: boolean; reallyExit(code: number): void} {
	return process as unknown as ReturnType<typeof internals>;
}

function handleOf(server: Server): Handle | null {
	return (server as unknown as Internals)._handle;
}

/** What a `net.Server` has had since Node 0.x, without its being documented. */
interface Internals {
	_handle: Handle | null;
	_listen2(address: null, port: number, addressType: number, backlog: number): void;
	_pipeName: string | undefined;
}

interface Handle {
	readonly fd?: number;
	close(...parameters: unknown[]): void;
}
