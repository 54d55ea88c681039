/**
 * The abstract lock: a listening socket that is held for the lock's life, and answers whoever
 * connects with the holder's record. It must outlive any client: floods, slow readers, garbage.
 */
import type {Server, Socket} from 'node:net';
import {codeOf} from '../model/errors.js';
import type {Listener, LockSocket} from '../model/system.js';
import {timeLeft, wakeable} from './deadline.js';
import {adoptListener, bypassing, descriptorOf, listenerOf} from './net-server.js';
import {descriptorLimit} from './procfs.js';

/**
 * Connections that one lock keeps open. A further one closes the oldest, which has been answered; a waiter connects
 * again. So clients that stay cannot use up the holder's descriptors.
 */
const maxClients = 64;

/** A client has nothing to say; one that goes on is cut off. */
const maxHeardBytes = 65_536;

/** Those of all locks of this process, the oldest first. */
const allClients = new Set<Socket>();

class NodeLockSocket {
	readonly server: Server;
	readonly clients: Set<Socket> = new Set();

	constructor(record: string) {
		// Half-open connections are not kept: one whose client has closed looks the same.
		this.server = process.getBuiltinModule('node:net').createServer({allowHalfOpen: false}, socket => {
			this.#answer(socket, record);
		});
		// After a failed accept (no descriptors) the socket still listens, and the lock is still ours.
		this.server.on('error', () => {});
	}

	#answer(socket: Socket, record: string): void {
		// Errors of one client (ECONNRESET, EPIPE) concern that client.
		socket.on('error', () => {});
		if (this.clients.size >= maxClients) closeOldest(this.clients);
		if (allClients.size >= maxClientsInAll()) closeOldest(allClients);
		this.clients.add(socket);
		allClients.add(socket);
		socket.on('close', () => {
			this.clients.delete(socket);
			allClients.delete(socket);
		});
		socket.on('data', () => {
			if (socket.bytesRead > maxHeardBytes) socket.destroy();
		});
		socket.unref();
		socket.write(record);
	}
}

function closeOldest(clients: Set<Socket>): void {
	for (const oldest of clients) {
		clients.delete(oldest);
		oldest.destroy();
		return;
	}
}

/** A quarter of the descriptor limit: the rest is for the process's own clients and files. */
function maxClientsInAll(): number {
	try {
		quarter ??= Math.ceil((descriptorLimit() || Number.POSITIVE_INFINITY) / 4);
		return quarter;
	} catch {
		// No descriptor is left to read the limit with.
		return 1;
	}
}

let quarter: number | undefined;

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

/** What one wait remembers. */
export interface Turn {
	/** How many connections in a row were short, up to the latest. */
	shortOnes: number;
}

/**
 * Waits for the end of whoever is bound to the name: a connection to it ends then, also one that
 * was never accepted. It also ends when the holder needs its place for others: then this is to be called again.
 *
 * @returns `false` when the deadline is past
 * @throws the signal's reason
 */
export async function awaitLockSocket(
	name: string,
	deadline: number,
	signal: AbortSignal | undefined,
	turn: Turn,
): Promise<boolean> {
	signal?.throwIfAborted();
	await pause(pauseMs(turn), deadline, signal);
	// A connection that fails is known to fail sooner than any timer fires.
	if (timeLeft(deadline) <= 0) return false;
	const began = performance.now();
	const socket = process.getBuiltinModule('node:net').connect({path: padded(name)});
	try {
		const ended = await wakeable(deadline, signal, wake => {
			socket
				.on('error', () => {})
				.on('close', wake)
				.resume();
		});
		if (!ended) return false;
	} finally {
		socket.destroy();
	}
	turn.shortOnes = performance.now() - began < shortMs ? turn.shortOnes + 1 : 0;
	// All waiters see the end of their holder at the same time.
	await pause(2 * Math.random(), deadline, signal);
	return true;
}

/** A connection that ends sooner is short. */
const shortMs = 1000;

/** Long, because all waiters that the holder does not keep do this: those it keeps see its end at once. */
const longestPauseMs = 500;

/**
 * How long a waiter pauses before it connects again. Connections are short where there are more waiters than the
 * holder keeps, where its backlog is full, and where a squatter hangs up at once. A single short one causes no pause:
 * most likely its holder has just ended.
 */
function pauseMs({shortOnes}: Turn): number {
	return shortOnes < 2 ? 0 : Math.min(longestPauseMs, 5 * 2 ** (shortOnes - 2)) * (0.5 + Math.random());
}

async function pause(milliseconds: number, deadline: number, signal: AbortSignal | undefined): Promise<void> {
	if (milliseconds > 0) await wakeable(Math.min(performance.now() + milliseconds, deadline), signal, () => {});
}

/**
 * All 108 bytes of `sun_path`, explicitly: Node 20 pads an abstract name and later ones bind its
 * exact length, so only a name of full length is one address to all of them (`unix(7)`).
 */
export function padded(name: string): string {
	return `\0${name}`.padEnd(108 - Buffer.byteLength(name) + name.length, '\0');
}
