/**
 * The system calls of the protocol, on the real kernel.
 */
import type {Holder} from '../model/holder.js';
import type {LockRecord} from '../model/record.js';
import type {
	Bound,
	Contention,
	FileStatus,
	Listener,
	LockSocket,
	LockSocketHolder,
	Place,
	System,
	Thoroughness,
} from '../model/system.js';
import {jittered, pause} from './deadline.js';
import {FileCalls} from './files/file-calls.js';
import {loadFlock} from './flock/choice.js';
import {hasEnded, hasLock, lockContention} from './flock/lock-holders.js';
import {awaitFlock} from './flock/queue.js';
import {inPieces} from './interruptible.js';
import {type ProcessIdentity, signalProcess} from './proc/processes.js';
import {boundToAbstract, hasLockSocket, lockSocketHolder} from './sockets/abstract-owners.js';
import {bindLockSocket, closeLockSocket} from './sockets/lock-socket.js';
import {awaitLockSocket, type LockSocketWait} from './sockets/lock-socket-client.js';
import {placeOf} from './sockets/other-views.js';
import {boundTo} from './sockets/pathname-owners.js';
import {type ConnectAttempt, prepareConnect, probe} from './sockets/probe.js';

/** Each method makes one system call, except those that only read: of the probe and of /proc. */
export class NodeSystem extends FileCalls implements System {
	readonly #address: string;
	readonly #signal: AbortSignal | undefined;
	readonly #own: number | undefined;
	readonly #lockSocketWait: LockSocketWait = {shortConnections: 0};
	#attempt: ConnectAttempt | undefined;
	/** The last process that got a signal. */
	#signalled: ProcessIdentity | undefined;

	/**
	 * @param signal makes the calls that wait reject with its reason
	 * @param own descriptor of a socket that does not count as bound
	 */
	constructor(address: string, signal?: AbortSignal, own?: number) {
		super();
		this.#address = address;
		this.#signal = signal;
		this.#own = own;
	}

	/** @throws BindLockError `ERR_FLOCK_UNAVAILABLE`, `ERR_UNSUPPORTED_PLATFORM` */
	flock(descriptor: number): boolean {
		return loadFlock(this.#address)(descriptor);
	}

	contention(file: FileStatus, lockPath: string, record: LockRecord | undefined): Contention | Promise<Contention> {
		return inPieces(lockContention(file, lockPath, record));
	}

	bound(path: string, socket: FileStatus, thoroughness: Thoroughness): Promise<Bound | undefined> | undefined {
		return boundTo(path, socket, thoroughness, this.#own)?.then(bound => {
			this.#signal?.throwIfAborted();
			return bound;
		});
	}

	connect(path: string, pinned: number | undefined): Promise<string> {
		const attempt = this.#attempt;
		this.#attempt = undefined;
		return probe(path, pinned, this.#signal, attempt);
	}

	async placeOf(path: string, holderHasEnded: boolean): Promise<Place> {
		const place = await placeOf(path, holderHasEnded);
		this.#signal?.throwIfAborted();
		return place;
	}

	hasEnded(record: LockRecord): boolean {
		return hasEnded(record);
	}

	closeListener(listener: Listener): void {
		(listener as {close(): void}).close();
	}

	bindLockSocket(name: string, record: string): LockSocket | undefined | Promise<LockSocket | undefined> {
		return bindLockSocket(name, record);
	}

	closeLockSocket(socket: LockSocket): void {
		closeLockSocket(socket);
	}

	lockSocketHolder(name: string): Promise<LockSocketHolder | undefined> {
		return lockSocketHolder(name);
	}

	boundAbstract(name: string): Bound | undefined | Promise<Bound | undefined> {
		return boundToAbstract(name, this.#own);
	}

	awaitFlock(descriptor: number, deadline: number): Promise<boolean> {
		// After a crash, the next holder probes the socket before it serves.
		this.#attempt ??= prepareConnect();
		return awaitFlock(descriptor, deadline, loadFlock(this.#address), this.#signal);
	}

	awaitLockSocket(name: string, deadline: number): Promise<boolean> {
		return awaitLockSocket(name, deadline, this.#signal, this.#lockSocketWait);
	}

	signalHolder(file: FileStatus, lockPath: string, holder: Holder, signal: NodeJS.Signals): boolean {
		return this.#send(holder, signal, () => hasLock(holder.pid, file, lockPath));
	}

	signalLockSocketHolder(name: string, holder: Holder, signal: NodeJS.Signals): boolean {
		return this.#send(holder, signal, () => hasLockSocket(holder.pid, name));
	}

	/** Sends a second signal only to the process that got the first one, and not to another that has reused its pid. */
	#send({pid}: Holder, signal: NodeJS.Signals, hasLock: () => boolean): boolean {
		const sent = signalProcess(pid, signal, hasLock, this.#signalled);
		this.#signalled = sent ?? this.#signalled;
		return sent !== undefined;
	}

	pause(milliseconds: number): Promise<void> {
		return pause(jittered(milliseconds), this.#signal);
	}
}
