/**
 * The abstract lock: a listening socket that is held for the lock's life, and answers whoever
 * connects with the holder's record. It must outlive any client: floods, slow readers, garbage.
 */
import type {Server, Socket} from 'node:net';
import {codeOf} from '../errors.js';
import type {Listener, LockSocket} from '../protocol/calls.js';
import {type LockRecord, maxRecordBytes, parseRecord} from '../protocol/record.js';
import {adoptListener, bypassing, descriptorOf, listenerOf} from './server.js';
import {timeLeft, wakeable} from './timers.js';

/** Connections that are kept open. One too many is answered and closed: a waiter then comes again. */
const maxClients = 4096;

/** A client has nothing to say; one that goes on is cut off. */
const maxHeardBytes = 65_536;

/** A healthy holder answers in well under a millisecond; a stalled one is named by the kernel alone. */
const answerTimeoutMs = 200;

class NodeLockSocket {
	readonly server: Server;
	readonly clients: Set<Socket> = new Set();

	constructor(record: string) {
		// Half-open connections are not kept: one whose client has closed looks the same.
		this.server = process.getBuiltinModule('node:net').createServer({allowHalfOpen: false}, socket => {
			this.#answer(socket, record);
		});
	}

	#answer(socket: Socket, record: string): void {
		// Errors of one client (ECONNRESET, EPIPE) concern that client.
		socket.on('error', () => {});
		if (this.clients.size >= maxClients) {
			socket.end(record);
			return;
		}
		this.clients.add(socket);
		socket.on('close', () => this.clients.delete(socket));
		socket.on('data', () => {
			if (socket.bytesRead > maxHeardBytes) socket.destroy();
		});
		socket.unref();
		socket.write(record);
	}
}

/** Binds and listens; synchronously if the name is free. */
export function bindLockSocket(name: string, record: string): LockSocket | undefined | Promise<LockSocket | undefined> {
	const socket = new NodeLockSocket(record);
	const {server} = socket;
	const failed = new Promise<undefined>((resolve, reject) => {
		server.on('error', error => (codeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
	});
	// Exclusive: in a cluster's worker the lock is the worker's, not the primary's.
	server.listen(bypassing({path: padded(name), exclusive: true}));
	server.unref();
	if (!server.listening) return failed;
	// An accept that fails (no descriptors) leaves the client in the backlog, and us the holder.
	failed.catch(() => {});
	return socket;
}

/** The lock of a process that leaves it to us. */
export function adoptLockSocket(listener: Listener, record: string): LockSocket {
	const socket = new NodeLockSocket(record);
	// A lock is kept whatever happens to its clients.
	adoptListener(socket.server, listener, {}, () => {}).catch(() => {});
	socket.server.unref();
	return socket;
}

/** To be shared with another process. */
export function listenerOfLock(lockSocket: LockSocket): Listener | undefined {
	return listenerOf((lockSocket as NodeLockSocket).server);
}

export function closeLockSocket(lockSocket: LockSocket): void {
	const {server, clients} = lockSocket as NodeLockSocket;
	server.close();
	for (const client of clients) client.destroy();
}

/** The descriptor of the listening socket. */
export function lockDescriptorOf(lockSocket: LockSocket): number {
	return descriptorOf(listenerOfLock(lockSocket)) ?? -1;
}

/**
 * Asks the holder for its record.
 *
 * @returns `'foreign'` for an answer that is no record, or a refusal; `undefined` if none came in time
 */
export async function askLockSocket(name: string): Promise<LockRecord | 'foreign' | undefined> {
	const socket = process.getBuiltinModule('node:net').connect({path: padded(name)});
	let heard = '';
	let answer: LockRecord | 'foreign' | undefined;
	try {
		await wakeable(performance.now() + answerTimeoutMs, undefined, wake => {
			socket.setEncoding('utf8').on('data', chunk => {
				heard += chunk;
				if (/\n.*\n/s.test(heard) || heard.length > maxRecordBytes) wake();
			});
			socket.on('end', wake).on('error', error => {
				if (codeOf(error) !== 'EAGAIN') answer = 'foreign';
				wake();
			});
			socket.on('end', () => {
				answer = 'foreign';
			});
		});
	} finally {
		socket.destroy();
	}
	return heard === '' ? answer : recordOrForeign(heard);
}

/**
 * Waits for the end of whoever is bound to the name: a connection to it ends then, also one that
 * was never accepted.
 *
 * @returns `false` when the deadline is past
 * @throws the signal's reason
 */
export async function awaitLockSocket(
	name: string,
	deadline: number,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	signal?.throwIfAborted();
	// A connection that fails is known to fail sooner than any timer fires.
	if (timeLeft(deadline) <= 0) return false;
	const socket = process.getBuiltinModule('node:net').connect({path: padded(name)});
	let code: string | undefined;
	let connected = false;
	try {
		const ended = await wakeable(deadline, signal, wake => {
			socket.on('connect', () => {
				connected = true;
			});
			socket.on('error', error => {
				code = codeOf(error);
			});
			socket.on('close', wake).resume();
		});
		if (!ended) return false;
	} finally {
		socket.on('error', () => {}).destroy();
	}
	// Refused: nobody is bound any more, or the socket is of another kind. A full backlog (EAGAIN) or a
	// squatter that hangs up at once leaves nothing to wait by, but time.
	const pauseMs = code === 'EAGAIN' || !connected ? 5 + 45 * Math.random() : 2 * Math.random();
	await wakeable(Math.min(performance.now() + pauseMs, deadline), signal, () => {});
	return true;
}

function recordOrForeign(heard: string): LockRecord | 'foreign' {
	const record = heard.length > maxRecordBytes ? 'foreign' : parseRecord(heard);
	return record === undefined || record === 'foreign' || record.since === undefined ? 'foreign' : record;
}

/**
 * All 108 bytes of `sun_path`, explicitly: Node 20 pads an abstract name and later ones bind its
 * exact length, so only a name of full length is one address to all of them (`unix(7)`).
 */
function padded(name: string): string {
	return `\0${name}`.padEnd(108 - Buffer.byteLength(name) + name.length, '\0');
}
