/**
 * The one place that reaches into a `net.Server`: binding it, and getting between it and libuv
 * when it stops listening.
 */
import {chmodSync} from 'node:fs';
import type {ListenOptions, Server} from 'node:net';
import type {Listener} from '../protocol/calls.js';

/**
 * Binds and listens.
 *
 * @param bound is called at once when the socket is bound, before anybody can have closed it
 * @returns when the server has emitted `'listening'`; rejects with what it emitted as `'error'`
 */
export function bindServer(server: Server, options: ListenOptions, bound: () => void): Promise<void> {
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
			tellBound();
			settle(resolve);
		};
		const onError = (error: Error): void => settle(() => reject(error));
		const onClose = (): void =>
			settle(() => reject(Object.assign(new Error('the server was closed'), {code: 'ERR_SERVER_NOT_RUNNING'})));
		server.once('listening', onListening).once('error', onError).once('close', onClose);
		try {
			server.listen(options);
			// A path is bound inside listen(); 'listening' comes a tick later.
			if (server.listening) tellBound();
		} catch (error) {
			onError(error as Error);
		}
	});
}

/**
 * Calls `stop` instead of closing the listening handle, whoever closes it and by whichever method
 * of whichever subclass: this is the point behind which libuv unlinks the path. Node has no public
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
	(server as unknown as {_handle: Handle | null})._handle = null;
	return handle;
}

function handleOf(server: Server): Handle | null {
	return (server as unknown as {_handle: Handle | null})._handle;
}

interface Handle {
	close(...parameters: unknown[]): void;
}

export function setSocketMode(path: string, mode: number): void {
	chmodSync(path, mode);
}
