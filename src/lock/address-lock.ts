/**
 * The lock of an address, whatever it is made of: a flock, an abstract socket, or a lease.
 */
import type {LockRecord} from '../model/record.js';
import type {Listener} from '../model/system.js';

/** A lock that this process holds. */
export interface AddressLock {
	/** Whether a stale socket was removed when the lock was taken. */
	readonly reclaimed: boolean;
	/** The lock file; `undefined` if the lock has none, or, like a lease, notices its loss itself. */
	readonly file: LockFile | undefined;
	/** The lock as another process can hold it, too; `undefined` for a lease, and for a {@link givenLock}. */
	readonly shareable: ShareableLock | undefined;
	/**
	 * Releases the lock. To be called once, after the socket is closed.
	 *
	 * @param unused nothing was bound: a lock file that was created for the lock is removed
	 */
	release(unused?: boolean): void;
	/** Instead of {@link release}: prepares for the end of this process, whose server may stay bound until then. */
	exit(): void;
}

/** A lock file, which other programs can remove or replace. */
export interface LockFile {
	readonly path: string;
	/** Whether the path still leads to the locked file. */
	isInPlace(): boolean;
	/**
	 * Locks the file that is at the path now, or a new one.
	 *
	 * @throws BindLockError if another process holds it
	 */
	relock(): Promise<void>;
}

/** A lock that a process can inherit. */
export interface ShareableLock {
	/** The descriptor of the lock file or of the abstract lock socket. */
	readonly descriptor: number | undefined;
	/** The abstract lock socket. */
	readonly socket: Listener | undefined;
	/**
	 * Instead of {@link AddressLock.release}: leaves the lock to the process that inherited it.
	 *
	 * @param heir for a record in the heir's name; `undefined` if the heir writes its own
	 */
	leave(heir?: Heir): void;
	/**
	 * Writes a record.
	 *
	 * @param heir names a process that inherited the lock, which this process holds as well; `undefined`: this process
	 */
	announce(heir?: Heir): void;
}

/** A process that inherited a lock, as its record describes it. */
export interface Heir extends Pick<LockRecord, 'pid' | 'command' | 'since' | 'reloads'> {
	/** Its number for the lock's descriptor. */
	readonly fd: number | undefined;
}
