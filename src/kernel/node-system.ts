/**
 * The System of this machine: the system calls of the protocol, made for real.
 */
import {
	accessSync,
	closeSync,
	constants,
	ftruncateSync,
	linkSync,
	openSync,
	readSync,
	renameSync,
	unlinkSync,
	writeSync,
} from 'node:fs';
import {codeOf} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {type LockRecord, maxRecordBytes} from '../model/record.js';
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
import {expectAccess, wasAccessed} from './access-time.js';
import {pause} from './deadline.js';
import {statusOfDescriptor, statusOfPath} from './file-status.js';
import {loadFlock} from './flock/flock.js';
import {awaitFlock} from './flock/queue.js';
import {createLockFile, openLockFile} from './lock-file-descriptor.js';
import {hasEnded, hasLock, lockContention} from './lock-holders.js';
import {awaitLockSocket, bindLockSocket, closeLockSocket, type Turn} from './lock-socket.js';
import {placeOf} from './mounts/other-views.js';
import {type Attempt, connectOnce, prepareConnect} from './probe.js';
import {oPath, type Process, signalProcess} from './procfs.js';
import {boundTo} from './socket-owners.js';
import {boundToAbstract, hasLockSocket, lockSocketHolder} from './unix-sockets.js';

/** The effective user id of this process; -1 where there are none. */
export function ownUid(): number {
	return process.geteuid?.() ?? -1;
}

/** Each method makes one system call, but for those of the probe and of /proc, which only look. */
export class NodeSystem implements System {
	readonly #address: string;
	readonly #signal: AbortSignal | undefined;
	readonly #own: number | undefined;
	readonly #turn: Turn = {shortOnes: 0};
	#attempt: Attempt | undefined;
	#signalled: Process | undefined;

	/**
	 * @param signal ends the calls that wait, by rejecting with its reason
	 * @param own descriptor of a socket that does not count as bound
	 */
	constructor(address: string, signal?: AbortSignal, own?: number) {
		this.#address = address;
		this.#signal = signal;
		this.#own = own;
	}

	openLockFile(path: string, create: boolean, mode: number): number {
		return create ? createLockFile(path, mode) : openLockFile(path);
	}

	pin(path: string): number | undefined {
		return oPath === undefined ? undefined : openSync(path, oPath | constants.O_NOFOLLOW);
	}

	close(descriptor: number): void {
		closeSync(descriptor);
	}

	fstat(descriptor: number): FileStatus {
		return statusOfDescriptor(descriptor);
	}

	lstat(path: string): FileStatus | undefined {
		return statusOfPath(path);
	}

	read(descriptor: number, length: number): string {
		return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, length, 0));
	}

	write(descriptor: number, text: string): boolean {
		const length = buffer.write(text);
		return writeSync(descriptor, buffer, 0, length, 0) === length;
	}

	truncate(descriptor: number): void {
		ftruncateSync(descriptor, 0);
	}

	/** @throws BindLockError `ERR_FLOCK_UNAVAILABLE`, `ERR_UNSUPPORTED_PLATFORM` */
	flock(descriptor: number): boolean {
		return loadFlock(this.#address)(descriptor);
	}

	unlink(path: string): boolean {
		try {
			unlinkSync(path);
			return true;
		} catch (error) {
			if (codeOf(error) === 'ENOENT') return false;
			throw error;
		}
	}

	link(existing: string, path: string): void {
		linkSync(existing, path);
	}

	rename(from: string, to: string): void {
		renameSync(from, to);
	}

	checkWritable(path: string): void {
		accessSync(path, constants.W_OK);
	}

	peek(path: string, length: number): string | undefined {
		let descriptor: number;
		try {
			descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
		} catch {
			return undefined;
		}
		try {
			return this.read(descriptor, length);
		} finally {
			closeSync(descriptor);
		}
	}

	contention(file: FileStatus, lockPath: string, record: LockRecord | undefined): Contention {
		return lockContention(file, lockPath, record);
	}

	bound(path: string, socket: FileStatus, thoroughness: Thoroughness): Promise<Bound | undefined> | undefined {
		return boundTo(path, socket, thoroughness, this.#own)?.then(bound => {
			this.#signal?.throwIfAborted();
			return bound;
		});
	}

	async connect(path: string, pinned: number | undefined): Promise<string> {
		const attempt = this.#attempt;
		this.#attempt = undefined;
		const before = pinned === undefined ? undefined : await expectAccess(pinned, this.#signal);
		const answer = await connectOnce(path, pinned, this.#signal, attempt);
		if (answer !== 'ECONNREFUSED' || process.platform !== 'linux') return answer;
		const accessed = pinned === undefined || before === undefined ? undefined : wasAccessed(pinned, before);
		if (accessed === undefined) return 'UNPROVED';
		return accessed ? 'BOUND' : answer;
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

	boundAbstract(name: string): Bound | undefined {
		return boundToAbstract(name);
	}

	awaitFlock(descriptor: number, deadline: number): Promise<boolean> {
		// Whoever has the lock after a crash has to ask whether the socket is dead before serving.
		this.#attempt ??= prepareConnect();
		return awaitFlock(descriptor, deadline, loadFlock(this.#address), this.#signal);
	}

	awaitLockSocket(name: string, deadline: number): Promise<boolean> {
		return awaitLockSocket(name, deadline, this.#signal, this.#turn);
	}

	signalHolder(file: FileStatus, lockPath: string, holder: Holder, signal: NodeJS.Signals): boolean {
		return this.#send(holder, signal, () => hasLock(holder.pid, file, lockPath));
	}

	signalLockSocketHolder(name: string, holder: Holder, signal: NodeJS.Signals): boolean {
		return this.#send(holder, signal, () => hasLockSocket(holder.pid, name));
	}

	/** A second signal goes to the process that got the first one, and to no other that has its pid by then. */
	#send({pid}: Holder, signal: NodeJS.Signals, holds: () => boolean): boolean {
		const sent = signalProcess(pid, signal, holds, this.#signalled);
		this.#signalled = sent ?? this.#signalled;
		return sent !== undefined;
	}

	pause(milliseconds: number): Promise<void> {
		const jittered = milliseconds * (0.5 + Math.random());
		return pause(jittered, this.#signal);
	}
}

/** For records, which are shorter: a call that uses it is done with it when it returns. */
const buffer = Buffer.allocUnsafeSlow(maxRecordBytes);
