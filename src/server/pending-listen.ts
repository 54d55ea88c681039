/**
 * Servers whose address is being taken: neither listening nor idle.
 */
import type {Server} from 'node:net';

/** Servers that are to listen as soon as the address is theirs, and by which call. */
const pending: WeakMap<Server, object> = new WeakMap();

export function isPending(server: Server): boolean {
	return pending.has(server);
}

/**
 * Until the address is ours the server is neither listening nor idle: a `close()` calls it off, and is answered as for
 * a server that listens; so does the signal that was given to `listen`, as Node has it.
 *
 * @param calledOff is called by `close()`
 * @returns to be called when it has an end; `false` if it was called off before
 */
export function holdPending(server: Server, signal: AbortSignal | undefined, calledOff: () => void): () => boolean {
	const call = {};
	pending.set(server, call);
	const hadOwn = Object.hasOwn(server, 'close');
	const close = server.close;
	const abort = (): void => void server.close();
	const restore = (): void => {
		pending.delete(server);
		signal?.removeEventListener('abort', abort);
		if (hadOwn) server.close = close;
		else delete (server as Partial<Server>).close;
	};
	server.close = callback => {
		restore();
		calledOff();
		if (callback !== undefined) server.once('close', () => callback());
		process.nextTick(() => server.emit('close'));
		return server;
	};
	if (signal?.aborted) process.nextTick(() => pending.get(server) === call && abort());
	signal?.addEventListener('abort', abort);
	return () => {
		const still = pending.get(server) === call;
		if (still) restore();
		return still;
	};
}
