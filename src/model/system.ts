/**
 * The interface between the protocol and the machine. Each method of {@link System} is one step of the kernel.
 *
 * A protocol is a generator that yields these calls as data. {@link run} makes them on the real kernel. The simulation
 * makes the same calls on a simulated kernel, interleaves those of several processes, and lets a process crash before
 * any of them.
 */
import type {Holder} from './holder.js';
import type {LockRecord} from './record.js';

/** What `stat` tells that the protocol needs. A `dev` or `ino` that a double cannot hold exactly is a bigint, and always is. */
export interface FileStatus {
	readonly dev: number | bigint;
	readonly ino: number | bigint;
	readonly type: 'file' | 'directory' | 'socket' | 'symlink' | 'other';
	/** Permissions, without the type. */
	readonly mode: number;
	readonly nlink: number;
	readonly size: number;
	readonly uid: number;
}

/** Who keeps us from a lock: see {@link System.contention}. */
export type Contention =
	/** An exclusive lock: a holder. */
	| {readonly kind: 'exclusive'; readonly holder?: Holder}
	/** Only readers, which test the lock for a moment (`pgrep -L`) and hold nothing that counts. */
	| {readonly kind: 'shared'; readonly holder?: Holder}
	/** The kernel shows no lock: it was given back meanwhile, or (`elsewhere`, by the record) its owner is in another pid namespace. */
	| {readonly kind: 'unseen'; readonly holder?: Holder; readonly elsewhere?: boolean};

/** A process bound to the address: `holder` is absent where we may not look into processes of others. */
export interface Bound {
	readonly holder?: Holder;
	/** `false`: it may as well be bound to another file of that name. Whether it is ours is for connecting to tell. */
	readonly isCertain: boolean;
}

/**
 * Which sockets count as bound: `named`, those that have the file, or that a process which cannot be seen has bound by
 * its path; `possible`, also those that do not listen yet and of which it cannot be told which file they have; `all`,
 * the same, and of sockets with any name it is asked which file they have.
 */
export type Thoroughness = 'named' | 'possible' | 'all';

/** What the filesystem of a socket file means for telling whether it is dead. */
export interface Place {
	/** The file itself is a mount point, and cannot be removed. */
	readonly isMountPoint: boolean;
	/**
	 * Why a server may be bound to this file by another view of its directory, where the file has another inode:
	 * connecting is refused then, although it is alive.
	 */
	readonly otherView?: string;
}

/** A listening socket in this process; only the driver knows what it is. */
export type Listener = object;

/** A bound abstract lock name in this process. */
export type LockSocket = object;

/** Who is bound to an abstract lock name. */
export interface LockSocketHolder {
	/** The kernel's word where it can be had, else the answer's. */
	readonly holder?: Holder;
	/** Whether it answers as bindlock does; `undefined` if it did not answer in time (its event loop may be stalled). */
	readonly bindlock: boolean | undefined;
}

export interface System {
	/**
	 * `open(O_RDWR|O_NOFOLLOW|O_CLOEXEC)`; a raw descriptor. With `create` also `O_CREAT|O_EXCL`: the file gets
	 * this mode, whatever the umask, and if root makes it, the owner of its directory.
	 */
	openLockFile(path: string, create: boolean, mode: number): number;
	/** A reference (`O_PATH`) that keeps the inode, and so its number, from being used again; `undefined` where there is no such thing. */
	pin(path: string): number | undefined;
	close(descriptor: number): void;
	fstat(descriptor: number): FileStatus;
	/** `undefined` if there is nothing. */
	lstat(path: string): FileStatus | undefined;
	/** The first `length` bytes, as UTF-8. */
	read(descriptor: number, length: number): string;
	/** Writes at the start of the file: whether all of it was written. */
	write(descriptor: number, text: string): boolean;
	/** `ftruncate` to nothing. */
	truncate(descriptor: number): void;
	/** `flock(LOCK_EX|LOCK_NB)`: whether we have the lock now. Its errors have `syscall: 'flock'`. */
	flock(descriptor: number): boolean;
	/** Whether there was something to unlink. */
	unlink(path: string): boolean;
	/** A second name for the file, never over an existing one. */
	link(existing: string, path: string): void;
	rename(from: string, to: string): void;
	/** Whether this process may write: throws the error that says why not. */
	checkWritable(path: string): void;
	/** The first `length` bytes of a regular file that nobody needs to notice being read; `undefined` if it may not be read. */
	peek(path: string, length: number): string | undefined;
	/** Who has the lock of this file, looked up without touching it. */
	contention(lockFile: FileStatus, lockPath: string, record: LockRecord | undefined): Contention;
	/** Who is bound to the socket file at this path, looked up without connecting. */
	bound(path: string, socket: FileStatus, thoroughness: Thoroughness): Promise<Bound | undefined> | Bound | undefined;
	/**
	 * Connects to a pinned socket and disconnects: `'CONNECTED'`, or the error's code. A refused connection is
	 * `'BOUND'` if a socket is bound to the file all the same, and does not listen; `'UNPROVED'` if that cannot be told.
	 * To find that out, the change time of the file is set.
	 */
	connect(path: string, pinned: number | undefined): Promise<string> | string;
	/**
	 * What the filesystem of a socket file means for it.
	 *
	 * @param holderHasEnded whether the last holder has: then only another server may be bound there, that is seen
	 */
	placeOf(path: string, holderHasEnded: boolean): Promise<Place> | Place;
	/** Whether the process that wrote this record was one of this machine and pid namespace, and has ended. */
	hasEnded(record: LockRecord): boolean;
	/** Closes a listening socket as libuv does: unlinks the path it was bound to, whatever lies there, then closes. */
	closeListener(listener: Listener): void;
	/**
	 * Binds an abstract name, always padded to 108 bytes, and listens: `undefined` if it is taken.
	 * Answers every client with the record, and keeps the latest connections open.
	 */
	bindLockSocket(name: string, record: string): LockSocket | undefined | Promise<LockSocket | undefined>;
	/** Frees the name; its clients see the end of their connection. */
	closeLockSocket(socket: LockSocket): void;
	/** Who is bound to an abstract lock name; `undefined` if nobody is any more. */
	lockSocketHolder(name: string): Promise<LockSocketHolder | undefined> | LockSocketHolder | undefined;
	/** Who is bound to an abstract name, in either spelling (exact length, or padded to 108 bytes), looked up without connecting. */
	boundAbstract(name: string): Bound | undefined;
	/**
	 * Waits until it is worth trying `flock` again: queued in the kernel where flock(1) is, else by
	 * trying now and then, and perhaps the descriptor has the lock already. `false`: the deadline
	 * (of `performance.now()`) is past.
	 */
	awaitFlock(descriptor: number, deadline: number): Promise<boolean> | boolean;
	/**
	 * Waits until whoever is bound to the abstract lock name closes it, or needs the place of this waiter for another
	 * one. `false`: the deadline is past.
	 */
	awaitLockSocket(name: string, deadline: number): Promise<boolean> | boolean;
	/**
	 * Sends the signal if the process still has the lock; `false` if it has not. After a first signal only that very
	 * process gets a second one, and not another with its pid.
	 */
	signalHolder(file: FileStatus, lockPath: string, holder: Holder, signal: NodeJS.Signals): boolean;
	/** The same for an abstract lock name. */
	signalLockSocketHolder(name: string, holder: Holder, signal: NodeJS.Signals): boolean;
	/** Waits about this many milliseconds. */
	pause(milliseconds: number): Promise<void> | undefined;
}

/** One system call, not yet made. */
export type Call = {
	[Name in keyof System]: {readonly name: Name; readonly parameters: Readonly<Parameters<System[Name]>>};
}[keyof System];

/** A piece of protocol: yields calls, is given their results (or has their errors thrown into it), and returns a `Result`. */
export type Protocol<Result> = Generator<Call, Result, unknown>;

/** One step of a protocol: `const status = yield* call('lstat', path)`. */
export function* call<Name extends keyof System>(
	name: Name,
	...parameters: Parameters<System[Name]>
): Protocol<Awaited<ReturnType<System[Name]>>> {
	return (yield {name, parameters} as Call) as Awaited<ReturnType<System[Name]>>;
}

/**
 * Runs a protocol on a system. Synchronous unless a call returns a promise.
 *
 * @throws what the protocol throws; after a call that returned a promise, rejects with it
 */
export function run<Result>(protocol: Protocol<Result>, system: System): Result | Promise<Result> {
	return resume(protocol, system, protocol.next());
}

/** Runs a protocol none of whose calls returns a promise. */
export function runSync<Result>(protocol: Protocol<Result>, system: System): Result {
	const result = run(protocol, system);
	if (result instanceof Promise) throw new TypeError('a call of this protocol is asynchronous');
	return result;
}

function resume<Result>(
	protocol: Protocol<Result>,
	system: System,
	step: IteratorResult<Call, Result>,
): Result | Promise<Result> {
	while (!step.done) {
		let outcome: unknown;
		try {
			outcome = perform(system, step.value);
		} catch (error) {
			step = protocol.throw(error);
			continue;
		}
		if (outcome instanceof Promise) {
			return outcome.then(
				value => resume(protocol, system, protocol.next(value)),
				error => resume(protocol, system, protocol.throw(error)),
			);
		}
		step = protocol.next(outcome);
	}
	return step.value;
}

function perform(system: System, {name, parameters}: Call): unknown {
	return (system as unknown as Methods)[name](...parameters);
}

type Methods = Readonly<Record<keyof System, (...parameters: readonly unknown[]) => unknown>>;
