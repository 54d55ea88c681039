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
	const handle = listener as {listen(backlog: number): number};
	// libuv accepts connections from its own listen() on.
	handle.listen = () => 0;
	return () => {
		delete (handle as Partial<typeof handle>).listen;
		const status = handle.listen(backlog);
		if (status !== 0) throw new Error(`listen(2) failed with errno ${-status}`);
	};
}

/** Sets what `server.address()` returns, where the runtime does not know the path. */
export function nameServer(server: Server, path: string): void {
	internalsOf(server)._pipeName = path;
	// Bun asks the handle.
	const handle = handleOf(server);
	if (handle !== undefined && 'unix' in handle) Object.defineProperty(handle, 'unix', {value: path});
}

/** Whether `listen({fd})` listens on a descriptor. An HTTP server of Bun ignores it and listens on a TCP port. */
export function listensOnDescriptors(server: Server): boolean {
	return server instanceof process.getBuiltinModule('node:net').Server;
}

/** Whether this is a server of `node:net`, or of `node:http` where that is another class, as in Bun. */
export function isServer(server: unknown): server is Server {
	return serverClasses().some(serverClass => server instanceof serverClass);
}

/** The classes with a `listen` of their own. */
export function serverClasses(): readonly (typeof Server)[] {
	const {Server: netServer} = process.getBuiltinModule('node:net');
	const {Server: httpServer} = process.getBuiltinModule('node:http');
	return httpServer.prototype instanceof netServer ? [netServer] : [netServer, httpServer as typeof Server];
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
 * Each method of each subclass that closes the socket ends there. Node has no public hook for it. An HTTP server of Bun
 * has no handle; its methods end in its `close()`.
 */
export function interceptClose(server: Server, stop: (listener: Listener) => void): void {
	const owner = (handleOf(server) ?? server) as Closeable;
	const name = closeMethod(owner);
	const close = owner[name] as (...parameters: unknown[]) => unknown;
	owner[name] = (...parameters) => {
		delete owner[name];
		if (owner[name] !== close) owner[name] = close;
		let result: unknown;
		stop({
			close: () => {
				result = close.apply(owner, parameters);
			},
		});
		return result;
	};
}

type Closeable = Pick<NodeHandle, 'close' | 'stop'>;

function closeMethod(owner: Closeable): 'close' | 'stop' {
	return owner.stop === undefined ? 'close' : 'stop';
}

/** Takes the listening handle from the server, which keeps its connections, emits no `'close'`, and can listen again. */
export function detachListener(server: Server): Listener | undefined {
	const handle = handleOf(server);
	if (handle === undefined) return undefined;
	const name = closeMethod(handle);
	delete handle[name];
	internalsOf(server)._handle = null;
	return name === 'close' ? handle : ({close: () => handle.stop?.()} as Listener);
}

/** Returns the listening socket, as `send` of Node's IPC takes it. */
export function listenerOf(server: Server): Listener | undefined {
	return handleOf(server);
}

/** Whether `send` of Node's IPC takes the socket. Bun's does not. */
export function isTransferable(listener: Listener): boolean {
	return 'listen' in listener;
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
	if (handleOf(server) === undefined) server.close();
	else process.getBuiltinModule('node:net').Server.prototype.close.call(server);
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

function handleOf(server: Server): NodeHandle | undefined {
	return internalsOf(server)._handle ?? undefined;
}

function internalsOf(server: Server): ServerInternals {
	return server as unknown as ServerInternals;
}
