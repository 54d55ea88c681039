/**
 * The lock of an abstract address: a listening abstract socket that is held for the life of the lock and answers each
 * client with the holder's record.
 *
 * The lock must outlive any client: floods, slow readers, garbage.
 */
import type {ListenOptions, Server, Socket} from 'node:net';
import {attempt} from '../../model/attempt.js';
import {codeOf} from '../../model/errors.js';
import type {Listener, LockSocket} from '../../model/system.js';
import {adoptListener, bypassing, listenerOf} from '../node/net-server.js';
import {quarterOfDescriptors} from '../proc/process-descriptors.js';
import {bindByFfi} from './ffi-sockets.js';
import {paddedName} from './padded-name.js';

/**
 * Binds and listens; synchronously if the name is free.
 *
 * @returns `undefined` if the name is taken
 */
export function bindLockSocket(name: string, record: string): LockSocket | undefined | Promise<LockSocket | undefined> {
	const socket = new NodeLockSocket(record);
	const {server} = socket;
	const failed = new Promise<undefined>((resolve, reject) => {
		server.on('error', error => (codeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
	});
	let descriptor: number | undefined;
	try {
		descriptor = bindByFfi(paddedName(name));
	} catch (error) {
		if (codeOf(error) === 'EADDRINUSE') return undefined;
		throw error;
	}
	const socketOptions = descriptor === undefined ? {path: paddedName(name)} : {fd: descriptor};
	// Exclusive: in a worker of a cluster the lock is the worker's and not the primary's.
	server.listen(bypassing({...socketOptions, exclusive: true} as ListenOptions));
	server.unref();
	if (!server.listening) return failed;
	failed.catch(() => {});
	return socket;
}

/** Continues with the lock socket of a process that hands its lock over. */
export function adoptLockSocket(listener: Listener, record: string): LockSocket {
	const socket = new NodeLockSocket(record);
	// A later failure concerns clients only, and the lock is kept.
	adoptListener(socket.server, listener, {}, () => {}).catch(() => {});
	socket.server.unref();
	return socket;
}

/** Returns the listening socket, to be shared with another process. */
export function listenerOfLock(lockSocket: LockSocket): Listener | undefined {
	return listenerOf((lockSocket as NodeLockSocket).server);
}

/** Changes the answer to later clients. */
export function changeRecord(lockSocket: LockSocket, record: string): void {
	(lockSocket as NodeLockSocket).record = record;
}

/** Frees the name, and ends the connections of all clients. */
export function closeLockSocket(lockSocket: LockSocket): void {
	const {server, clients} = lockSocket as NodeLockSocket;
	server.close();
	for (const client of clients) client.destroy();
}

/**
 * The connections that one lock keeps open, so that clients cannot use up the holder's descriptors. A further client
 * closes the oldest connection, which has been answered; a waiter connects again.
 */
const maxClients = 64;

/** A client sends nothing. One that sends more than this is disconnected. */
const maxReceivedBytes = 65_536;

/** The clients of all locks of this process, the oldest first. */
const allClients = new Set<Socket>();

class NodeLockSocket {
	readonly server: Server;
	readonly clients: Set<Socket> = new Set();

	record: string;

	constructor(record: string) {
		this.record = record;
		// Half-open connections are not kept: one whose client has closed looks the same.
		this.server = process.getBuiltinModule('node:net').createServer({allowHalfOpen: false}, socket => {
			this.#answer(socket);
		});
		// After a failed accept(2), as without descriptors, the socket still listens, and the lock is still held.
		this.server.on('error', () => {});
	}

	#answer(socket: Socket): void {
		// Errors of one client, such as ECONNRESET and EPIPE, do not concern the lock.
		socket.on('error', () => {});
		if (this.clients.size >= maxClients) closeOldest(this.clients);
		if (allClients.size >= maxClientsOfProcess()) closeOldest(allClients);
		this.clients.add(socket);
		allClients.add(socket);
		socket.on('close', () => {
			this.clients.delete(socket);
			allClients.delete(socket);
		});
		socket.on('data', () => {
			if (socket.bytesRead > maxReceivedBytes) socket.destroy();
		});
		socket.unref();
		socket.write(this.record);
	}
}

function closeOldest(clients: Set<Socket>): void {
	const [oldest] = clients;
	if (oldest === undefined) return;
	clients.delete(oldest);
	oldest.destroy();
}

/** Kept: each client of a flood would cost three system calls. */
let knownLimit: number | undefined;

function maxClientsOfProcess(): number {
	knownLimit ??= attempt(quarterOfDescriptors);
	// No descriptor is left to read the limit with.
	return knownLimit ?? 1;
}
