/**
 * The interface between the protocol and the machine. Each method of {@link System} is one step of the kernel.
 */
import type {FileIdentity} from './file-identity.js';
import type {Holder} from './holder.js';
import type {LockRecord} from './record.js';

/** The result of stat. */
export interface FileStatus extends FileIdentity {
	readonly type: 'file' | 'directory' | 'socket' | 'symlink' | 'other';
	/** The permissions, without the type. */
	readonly mode: number;
	readonly nlink: number;
	readonly size: number;
	readonly uid: number;
}

/** Why a flock was not granted. */
export interface Contention {
	/**
	 * `'exclusive'`: a process holds an exclusive lock. `'shared'`: only shared locks, as of a program that tests the lock
	 * for a moment (`pgrep -L`). `'unseen'`: the kernel shows no lock: it was released, or the holder is `elsewhere`.
	 */
	readonly kind: 'exclusive' | 'shared' | 'unseen';
	readonly holder?: Holder | undefined;
	/** By its record the holder is in another pid namespace. */
	readonly elsewhere?: boolean;
}

/** A process that is bound to the address. */
export interface Bound {
	/** Absent if this process may not inspect it. */
	readonly holder?: Holder | undefined;
	/** `false` if it may be bound to another file of the same name, so that a connection has to decide. */
	readonly isCertain: boolean;
	/** `false`: the search for its process was stopped, because there are so many. */
	readonly isSearched?: boolean;
}

/**
 * Which sockets count as bound to a file. `'named'`: those whose inode it is, and those that an invisible process bound by
 * its path. `'possible'`: also those that do not listen yet and whose inode is unknown. `'all'`: as `'possible'`, and
 * sockets of any name are compared by inode.
 */
export type Thoroughness = 'named' | 'possible' | 'all';

/** What the filesystem of a socket file means for its removal. */
export interface Place {
	/** The file is a mount point and cannot be removed. */
	readonly isMountPoint: boolean;
	/**
	 * Why a server may be bound to the file through another view of its directory, such as a FUSE mount. The file has
	 * another inode there, and a connection is refused although the server is alive.
	 */
	readonly otherView?: string;
}

/** A listening socket of this process; opaque to the protocol. */
export type Listener = object;

/** A bound abstract lock socket of this process; opaque to the protocol. */
export type LockSocket = object;

/** The process that is bound to an abstract lock name. */
export interface LockSocketHolder {
	/** Named by the kernel if possible, else by the record in its answer. */
	readonly holder?: Holder | undefined;
	/** Whether it answers like bindlock; `undefined` if it did not answer in time, because its event loop is stalled. */
	readonly bindlock: boolean | undefined;
}

/** The system calls of the protocol. */
export interface System {
	/**
	 * Opens the lock file with `O_RDWR|O_NOFOLLOW|O_CLOEXEC` and returns a raw descriptor.
	 *
	 * @param create adds `O_CREAT|O_EXCL`. The file gets this mode regardless of the umask. If root creates it, it gets the
	 * owner of its directory
	 */
	openLockFile(path: string, create: boolean, mode: number): number;
	/** Opens with `O_PATH`, which keeps the inode and its number from being reused; `undefined` where that does not exist. */
	pin(path: string): number | undefined;
	close(descriptor: number): void;
	fstat(descriptor: number): FileStatus;
	/** @returns `undefined` if there is no file */
	lstat(path: string): FileStatus | undefined;
	/** Reads the first `length` bytes as UTF-8. */
	read(descriptor: number, length: number): string;
	/** Writes at the start of the file. @returns whether the whole text was written */
	write(descriptor: number, text: string): boolean;
	/** Truncates the file to zero bytes. */
	truncate(descriptor: number): void;
	/** `flock(LOCK_EX|LOCK_NB)`. @returns whether it was granted @throws an error with `syscall: 'flock'` */
	flock(descriptor: number): boolean;
	/** @returns whether there was a file */
	unlink(path: string): boolean;
	/** Creates a hard link; never replaces a file. */
	link(existing: string, path: string): void;
	rename(from: string, to: string): void;
	/** @throws EACCES, EROFS and others if this process may not write */
	checkWritable(path: string): void;
	/** Reads the first `length` bytes of a regular file without opening anything else; `undefined` if not permitted. */
	peek(path: string, length: number): string | undefined;
	/** Finds the process that holds the lock of a file, without touching the file. */
	contention(lockFile: FileStatus, lockPath: string, record: LockRecord | undefined): Contention | Promise<Contention>;
	/** Finds a process that is bound to the socket file, without a connection. */
	bound(path: string, socket: FileStatus, thoroughness: Thoroughness): Promise<Bound | undefined> | Bound | undefined;
	/**
	 * Connects to a pinned socket and disconnects. Sets the change time of the file.
	 *
	 * @returns `'CONNECTED'`, or the code of the error. Instead of `'ECONNREFUSED'`: `'BOUND'` if a socket is bound to the
	 * file that does not listen, `'UNPROVED'` if that is unknown
	 */
	connect(path: string, pinned: number | undefined): Promise<string> | string;
	/** @param holderHasEnded whether the previous holder has exited: then only other, visible servers may be bound */
	placeOf(path: string, holderHasEnded: boolean): Promise<Place> | Place;
	/** Whether the process of a record ran on this machine and in this pid namespace, and has exited. */
	hasEnded(record: LockRecord): boolean;
	/** Closes a listening socket as libuv does: if the handle has bound a path, unlinks that path first. */
	closeListener(listener: Listener): void;
	/**
	 * Binds an abstract name, padded to 108 bytes, and listens. The socket sends the record to each client and keeps the
	 * latest connections open.
	 *
	 * @returns `undefined` if the name is in use
	 */
	bindLockSocket(name: string, record: string): LockSocket | undefined | Promise<LockSocket | undefined>;
	/** Frees the name and closes the connections of the clients. */
	closeLockSocket(socket: LockSocket): void;
	/** @returns `undefined` if no process is bound to the lock name any more */
	lockSocketHolder(name: string): Promise<LockSocketHolder | undefined> | LockSocketHolder | undefined;
	/** Finds a process that is bound to an abstract name, in its exact length or padded to 108 bytes. */
	boundAbstract(name: string): Bound | undefined | Promise<Bound | undefined>;
	/**
	 * Waits until another `flock` is worthwhile: in the kernel's queue by flock(1), else by polling. The descriptor may have
	 * the lock already.
	 *
	 * @param deadline in milliseconds of `performance.now()`
	 * @returns `false` at the deadline
	 */
	awaitFlock(descriptor: number, deadline: number): Promise<boolean> | boolean;
	/**
	 * Waits until the lock socket is closed, or its holder drops this waiter in favour of a newer one.
	 *
	 * @returns `false` at the deadline
	 */
	awaitLockSocket(name: string, deadline: number): Promise<boolean> | boolean;
	/**
	 * Sends a signal if the process still holds the lock. A second signal reaches only the process that got the first one,
	 * not another process with a reused pid.
	 *
	 * @returns `false` if the process does not hold the lock
	 */
	signalHolder(file: FileStatus, lockPath: string, holder: Holder, signal: NodeJS.Signals): boolean;
	/** The same for an abstract lock name. */
	signalLockSocketHolder(name: string, holder: Holder, signal: NodeJS.Signals): boolean;
	/** Waits for about this time, with jitter. */
	pause(milliseconds: number): Promise<void> | undefined;
}
