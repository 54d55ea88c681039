/**
 * Listening and closing of a `net.Server`, and taking its listening socket away from it.
 */
import type {ListenOptions, Server} from 'node:net';
import type {Listener} from '../../model/system.js';
import type {NodeHandle, ServerInternals} from './node-internals.js';

export type {Server} from 'node:net';

/**
 * Binds and listens.
 *
 * @param bound is called synchronously once the socket is bound, before other code can have closed it
 * @returns a promise that resolves on `'listening'`, and rejects with the error of `'error'`
 */
export function bindServer(server: Server, options: ListenOptions, bound: () => void): Promise<void> {
	return untilListening(server, () => server.listen(bypassing(options)), bound);
}

/** Listens on a descriptor that is bound to the path; otherwise as {@link bindServer}. */
export function listenOnDescriptor(
	server: Server,
	descriptor: number,
	{path, backlog}: {readonly path: string; readonly backlog: number},
	bound: () => void,
): Promise<void> {
	return untilListening(
		server,
		() => {
			// For a descriptor Node takes the backlog from the second argument only.
			server.listen(bypassing({fd: descriptor} as ListenOptions), backlog);
			nameServer(server, path);
		},
		bound,
	);
}

/** Listens on a socket that another process shares with this one; otherwise as {@link bindServer}. */
export function adoptListener(
	server: Server,
	listener: Listener,
	options: ListenOptions,
	bound: () => void,
): Promise<void> {
	return untilListening(
		server,
		() => {
			// `listen(handle)` would open a second handle on the same descriptor, and both would close it.
			const internals = internalsOf(server);
			internals._handle = listener as NodeHandle;
			internals._listen2(null, -1, -1, options.backlog ?? 511);
			internals._pipeName = options.path;
		},
		bound,
	);
}

/**
 * Keeps the server that adopts this socket from accepting connections. They wait in the backlog.
 *
 * @returns a function that lets the server accept them
 */
export function holdConnections(listener: Listener, backlog: number): () => void {
	const handle = listener as Pick<NodeHandle, 'listen'>;
	// libuv accepts connections from its own listen() on.
	handle.listen = () => 0;
	return () => {
		delete (handle as Partial<NodeHandle>).listen;
		const status = handle.listen(backlog);
		if (status !== 0) throw new Error(`listen(2) failed with errno ${-status}`);
	};
}

/** Sets what `server.address()` returns, where Node does not know the path. */
export function nameServer(server: Server, path: string): void {
	internalsOf(server)._pipeName = path;
}

/** Marks options of a `listen` that has the lock already. Read by every copy of bindlock that has patched `listen`. */
const bypass: symbol = Symbol.for('bindlock.bypass');

/** Returns options with which a patched `listen` does not lock again. */
export function bypassing(options: ListenOptions): ListenOptions {
	return {...options, [bypass]: true} as ListenOptions;
}

export function isBypassed(options: object): boolean {
	return bypass in options;
}

function untilListening(server: Server, listen: () => void, bound: () => void): Promise<void> {
	return new Promise((resolve, reject) => {
		let isReported = false;
		const reportBound = (): void => {
			if (isReported) return;
			isReported = true;
			bound();
		};
		const settle = (outcome: () => void): void => {
			server.off('listening', onListening).off('error', onError).off('close', onClose);
			outcome();
		};
		const onListening = (): void => {
			try {
				reportBound();
				settle(resolve);
			} catch (error) {
				onError(error as Error);
			}
		};
		const onError = (error: Error): void => settle(() => reject(error));
		const onClose = (): void => {
			// This may be the late 'close' of the last time that the server listened: it comes a tick after the end of
			// its last connection.
			if (server.listening) return;
			settle(() => reject(Object.assign(new Error('the server was closed'), {code: 'ERR_SERVER_NOT_RUNNING'})));
		};
		// Before the listeners of the program, which may throw.
		server.prependListener('listening', onListening).prependListener('error', onError).on('close', onClose);
		try {
			listen();
			// listen() binds a path synchronously, and 'listening' comes a tick later.
			if (server.listening) reportBound();
		} catch (error) {
			onError(error as Error);
		}
	});
}

/**
 * Calls `stop` in place of the close of the listening handle.
 *
 * Each method of each subclass that closes the socket ends there. Node has no public hook for it.
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

/** Takes the listening handle from the server, which keeps its connections, emits no `'close'`, and can listen again. */
export function detachListener(server: Server): Listener | undefined {
	const handle = handleOf(server);
	if (handle === null) return undefined;
	delete (handle as Partial<NodeHandle>).close;
	internalsOf(server)._handle = null;
	return handle;
}

/** Returns the listening socket, as `send` of Node's IPC takes it. */
export function listenerOf(server: Server): Listener | undefined {
	return handleOf(server) ?? undefined;
}

export function descriptorOf(listener: Listener | undefined): number | undefined {
	return (listener as NodeHandle | undefined)?.fd;
}

/**
 * Stops listening. Open connections continue, and `'close'` comes at their end.
 *
 * The `close()` of an HTTP server is not used: it closes idle connections, also those that have just been accepted and
 * whose request has not been read (measured on Node 26).
 */
export function stopListening(server: Server): void {
	process.getBuiltinModule('node:net').Server.prototype.close.call(server);
}

/** Calls the program's own `close()` of the server, without its closing of idle connections: see {@link stopListening}. */
export function closeServer(server: Server): void {
	const http = server as {closeIdleConnections?: () => void};
	const own = Object.getOwnPropertyDescriptor(http, 'closeIdleConnections');
	if ('closeIdleConnections' in http) Object.defineProperty(http, 'closeIdleConnections', postponed);
	try {
		server.close();
	} finally {
		delete http.closeIdleConnections;
		if (own !== undefined) Object.defineProperty(http, 'closeIdleConnections', own);
	}
}

const postponed: PropertyDescriptor = {value: () => {}, configurable: true, writable: true};

function handleOf(server: Server): NodeHandle | null {
	return internalsOf(server)._handle;
}

function internalsOf(server: Server): ServerInternals {
	return server as unknown as ServerInternals;
}
