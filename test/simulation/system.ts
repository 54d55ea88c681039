/**
 * The System of one simulated process, the counterpart of `src/kernel/node-system.ts`, with additional calls for
 * servers and outsiders.
 */
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
} from '../../src/model/system.js';
import {type Descriptor, failure, type Kernel, type Mail, type Message, type OpenFile} from './kernel.js';

/** The listening socket of a server, as the protocol passes it to `closeListener`. */
export interface SimulatedListener {
	readonly descriptor: number;
	/** The path that libuv unlinks on close; absent if the socket was bound separately. */
	readonly path?: string;
}

/** Additional calls of servers and outsiders. */
export interface MoreCalls {
	/** `socket()` and `bind()`: creates the file, which refuses connections. */
	bind(path: string, full?: boolean): number;
	listen(descriptor: number): void;
	/** The first half of libuv's close: unlinks the path, whatever its current file is. */
	unlinkAsLibuv(path: string): void;
	/** `open(O_RDWR|O_CREAT)` in one call, as libwayland does. */
	openOrCreate(path: string): number;
	/** `flock(LOCK_SH|LOCK_NB)` */
	flockShared(descriptor: number): boolean;
	flockUnlock(descriptor: number): void;
	/** Blocks for ever. */
	stay(): void;
	/** Starts a process that inherits these descriptors, as `child_process.fork`. */
	fork(child: number, descriptors: readonly number[]): void;
	/** Blocks until this process is forked. @returns its parent */
	awaitFork(): number;
	/** Sends a message, and with it a descriptor of the same open file description. */
	send(to: number, message: Message, descriptor?: number): void;
	/**
	 * Waits for a message.
	 *
	 * @param timeoutMs unless `Infinity`, the time may be over at any moment
	 * @returns `undefined` if the channel is closed, `false` when the time is over
	 */
	receive(from: number, timeoutMs: number): Mail | undefined | false;
	/** Sends SIGKILL to a child. */
	kill(child: number): void;
	/** Waits until the kernel has closed the descriptors of a killed child. */
	awaitExit(child: number): void;
}

export type AnySystem = System & MoreCalls;

export type SimulatedCall = {
	[Name in keyof AnySystem]: {
		readonly name: Name;
		readonly parameters: Readonly<Parameters<AnySystem[Name]>>;
	};
}[keyof AnySystem];

/** An abstract name has two addresses: Node 22 and later bind the first, Node 20 the second (padded). */
export function exact(name: string): string {
	return `\0${name}`;
}

export function padded(name: string): string {
	return `\0${name}\0…`;
}

export class SimulatedSystem implements System, MoreCalls {
	readonly kernel: Kernel;
	readonly pid: number;

	constructor(kernel: Kernel, pid: number) {
		this.kernel = kernel;
		this.pid = pid;
	}

	openLockFile(path: string, create: boolean): number {
		const there = this.kernel.entry(path);
		if (create && there !== 0) throw failure('EEXIST');
		if (!create && there === 0) throw failure('ENOENT');
		return create ? this.#open(this.kernel.create(path, {type: 'file'})) : this.#openExisting(there);
	}

	openOrCreate(path: string): number {
		const there = this.kernel.entry(path);
		return there === 0 ? this.#open(this.kernel.create(path, {type: 'file'})) : this.#openExisting(there);
	}

	#openExisting(ino: number): number {
		const {type} = this.kernel.inode(ino);
		if (type !== 'file') throw failure(type === 'directory' ? 'EISDIR' : 'ENXIO');
		return this.#open(ino);
	}

	#open(ino: number, pin = false): number {
		return this.kernel.open(this.pid, {kind: 'file', ino, lock: 'none', pin});
	}

	pin(path: string): number {
		const ino = this.kernel.entry(path);
		if (ino === 0) throw failure('ENOENT');
		return this.#open(ino, true);
	}

	close(descriptor: number): void {
		this.kernel.close(this.pid, descriptor);
	}

	fstat(descriptor: number): FileStatus {
		return this.kernel.status(this.kernel.descriptor(this.pid, descriptor).ino);
	}

	lstat(path: string): FileStatus | undefined {
		const ino = this.kernel.entry(path);
		return ino === 0 ? undefined : this.kernel.status(ino);
	}

	read(descriptor: number, length: number): string {
		return this.kernel.inode(this.#file(descriptor).ino).content.slice(0, length);
	}

	write(descriptor: number, text: string): boolean {
		const {ino} = this.#file(descriptor);
		this.kernel.setInode(ino, {content: text + this.kernel.inode(ino).content.slice(text.length)});
		return true;
	}

	truncate(descriptor: number): void {
		this.kernel.setInode(this.#file(descriptor).ino, {content: ''});
	}

	flock(descriptor: number): boolean {
		return this.#lock(descriptor, 'exclusive');
	}

	flockShared(descriptor: number): boolean {
		return this.#lock(descriptor, 'shared');
	}

	flockUnlock(descriptor: number): void {
		this.kernel.setDescription(this.pid, descriptor, {...this.#file(descriptor), lock: 'none'});
	}

	/** Converts a lock. The existing lock is released first, even if the new one is then refused (flock(2)). */
	#lock(descriptor: number, lock: OpenFile['lock']): boolean {
		const mine = this.#file(descriptor);
		if (mine.lock === lock) return true;
		const refused = !this.kernel.isFree(mine, lock);
		this.kernel.setDescription(this.pid, descriptor, {...mine, lock: refused ? 'none' : lock});
		return !refused;
	}

	unlink(path: string): boolean {
		const ino = this.kernel.entry(path);
		if (ino === 0) return false;
		if (this.kernel.inode(ino).type === 'directory') throw failure('EISDIR');
		this.kernel.removeEntry(path);
		return true;
	}

	link(existing: string, path: string): void {
		const ino = this.kernel.entry(existing);
		if (ino === 0) throw failure('ENOENT');
		if (this.kernel.entry(path) !== 0) throw failure('EEXIST');
		if (this.kernel.inode(ino).type === 'directory') throw failure('EPERM');
		this.kernel.setEntry(path, ino);
		this.kernel.setInode(ino, {nlink: this.kernel.inode(ino).nlink + 1});
	}

	rename(from: string, to: string): void {
		const moved = this.kernel.entry(from);
		const there = this.kernel.entry(to);
		if (moved === 0) throw failure('ENOENT');
		// Two names of one file: rename(2) does nothing and succeeds.
		if (moved === there) return;
		const isDirectory = this.kernel.inode(moved).type === 'directory';
		if (there !== 0) {
			const overDirectory = this.kernel.inode(there).type === 'directory';
			if (isDirectory !== overDirectory) throw failure(overDirectory ? 'EISDIR' : 'ENOTDIR');
			this.kernel.removeEntry(to);
		}
		this.kernel.setEntry(from, 0);
		this.kernel.setEntry(to, moved);
	}

	checkWritable(): void {}

	peek(path: string, length: number): string | undefined {
		const ino = this.kernel.entry(path);
		return ino === 0 ? undefined : this.kernel.inode(ino).content.slice(0, length);
	}

	contention(file: FileStatus): Contention {
		return this.kernel.contention(Number(file.ino));
	}

	bound(path: string, socket: FileStatus, thoroughness: Thoroughness): Bound | undefined {
		return this.kernel.bound(this.pid, thoroughness === 'all' ? undefined : path, Number(socket.ino));
	}

	connect(path: string, pinned: number | undefined): string {
		const ino = pinned === undefined ? this.kernel.entry(path) : this.kernel.descriptor(this.pid, pinned).ino;
		if (ino === 0) return 'ENOENT';
		const server = this.kernel.boundSocket(ino)?.socket;
		if (server?.listening !== true) {
			if (pinned === undefined || !this.kernel.notesAccess) return 'UNPROVED';
			return server === undefined ? 'ECONNREFUSED' : 'BOUND';
		}
		return server.full ? 'EAGAIN' : 'CONNECTED';
	}

	placeOf(): Place {
		return {isMountPoint: false};
	}

	hasEnded(): boolean {
		return false;
	}

	bind(path: string, full = false): number {
		const isAbstract = path.startsWith('\0');
		if (isAbstract ? this.kernel.boundAbstract(this.pid, [path]) : this.kernel.entry(path) !== 0) {
			throw failure('EADDRINUSE');
		}
		const ino = isAbstract ? 0 : this.kernel.create(path, {type: 'socket'});
		return this.kernel.open(this.pid, {kind: 'socket', ino, path, listening: false, full});
	}

	listen(descriptor: number): void {
		const socket = this.kernel.descriptor(this.pid, descriptor);
		this.kernel.setDescription(this.pid, descriptor, {...socket, listening: true} as Descriptor);
	}

	unlinkAsLibuv(path: string): void {
		if (path.startsWith('\0')) return;
		try {
			this.unlink(path);
		} catch {}
	}

	/** Makes both system calls in one step, for scripts. The explorer splits them. */
	closeListener(listener: Listener): void {
		const {descriptor, path} = listener as SimulatedListener;
		if (path !== undefined) this.unlinkAsLibuv(path);
		this.close(descriptor);
	}

	/** Binds and listens in one step, as the real System does for other processes. */
	bindLockSocket(name: string, _record: string): SimulatedListener | undefined {
		const path = padded(name);
		if (this.kernel.boundAbstract(this.pid, [path]) !== undefined) return undefined;
		const descriptor = this.bind(path);
		this.listen(descriptor);
		return {descriptor, path};
	}

	closeLockSocket(socket: LockSocket): void {
		this.close((socket as SimulatedListener).descriptor);
	}

	lockSocketHolder(name: string): LockSocketHolder | undefined {
		const bound = this.kernel.boundAbstract(this.pid, [padded(name)]);
		return bound && {...bound, bindlock: true};
	}

	boundAbstract(name: string): Bound | undefined {
		return this.kernel.boundAbstract(this.pid, [exact(name), padded(name)]);
	}

	/** The explorer schedules the call only when it would not block. */
	awaitFlock(descriptor: number): boolean {
		return this.flock(descriptor);
	}

	awaitLockSocket(): boolean {
		return true;
	}

	/** Returns whether the call would not block now. */
	isReady({name, parameters}: SimulatedCall): boolean {
		if (name === 'stay') return false;
		if (name === 'awaitFlock') return this.kernel.isFree(this.#file(parameters[0]), 'exclusive');
		if (name === 'awaitFork') return this.kernel.process(this.pid).parent !== undefined;
		if (name === 'receive') return this.#isReadable(parameters[0]);
		if (name === 'awaitExit') return this.kernel.process(parameters[0]).descriptors.length === 0;
		return name !== 'awaitLockSocket' || this.kernel.boundAbstract(this.pid, [padded(parameters[0])]) === undefined;
	}

	/** Sends SIGKILL, which no process can refuse. */
	signalHolder(file: FileStatus): boolean {
		const holder = this.kernel.locker(Number(file.ino), 'exclusive');
		if (holder === undefined || this.kernel.process(holder).dying) return false;
		this.kernel.kill(holder);
		return true;
	}

	signalLockSocketHolder(name: string): boolean {
		const isHolder = (socket: Descriptor | undefined): boolean =>
			socket?.kind === 'socket' && socket.path === padded(name);
		const holder = this.kernel.processes.findIndex(each => each.descriptors.some(isHolder));
		if (holder === -1 || this.kernel.process(holder).dying) return false;
		this.kernel.kill(holder);
		return true;
	}

	pause(): undefined {}

	stay(): void {}

	fork(child: number, descriptors: readonly number[]): void {
		this.kernel.fork(this.pid, child, descriptors);
	}

	awaitFork(): number {
		return this.kernel.process(this.pid).parent ?? -1;
	}

	send(to: number, message: Message, descriptor?: number): void {
		if (this.kernel.process(to).dying) return;
		const shared = descriptor === undefined ? {} : {descriptor: this.kernel.share(this.pid, descriptor, to)};
		this.kernel.send({from: this.pid, message, ...shared}, to);
	}

	/** Messages that were sent before the channel was closed are read first. */
	#isReadable(from: number): boolean {
		const {mail} = this.kernel.process(this.pid);
		return mail.some(each => each.from === from) || this.kernel.process(from).dying;
	}

	receive(from: number): Mail | undefined {
		return this.kernel.receive(this.pid, from);
	}

	kill(child: number): void {
		this.kernel.kill(child);
	}

	awaitExit(child: number): void {
		this.kernel.forgetMail(this.pid, child);
	}

	#file(descriptor: number): OpenFile {
		const found = this.kernel.descriptor(this.pid, descriptor);
		if (found.kind !== 'file' || found.pin) throw failure('EBADF');
		return found;
	}
}
