/**
 * The options of the public functions. Every time limit is in milliseconds, 0 or more, and `Infinity` means no limit.
 */
import type {Holder} from './holder.js';

/** Options of {@link acquire}. */
export interface AcquireOptions {
	/**
	 * How long to wait for the holder to release the address, in milliseconds. A server that takes no lock is not waited
	 * for.
	 *
	 * @defaultValue 0: fail at once
	 */
	readonly waitMs?: number | undefined;
	/**
	 * Called once, when a wait begins. With `replace` the holder has been signalled by then. An error that it throws ends
	 * the wait and becomes the `cause` of the rejection.
	 *
	 * @param holder `undefined` if this process cannot see it
	 */
	readonly onWait?: ((holder: Holder | undefined) => void) | undefined;
	/**
	 * Signal the current holder, then wait for it to exit or to release the address.
	 *
	 * @defaultValue `undefined`: only wait
	 */
	readonly replace?: ReplaceOptions | undefined;
	/** Cancels the call: the promise rejects with the signal's reason, and no lock or file is left behind. */
	readonly signal?: AbortSignal | undefined;
	/** Text that error messages of other processes show for this holder, such as a service name. At most 200 characters. */
	readonly label?: string | undefined;
	/**
	 * How to lock. `'lease'` is for filesystems without flock: a directory of proper-lockfile whose modification time is
	 * renewed by a timer. It is weaker (docs/lease.md) and never chosen automatically. All servers of an address must use
	 * the same backend.
	 *
	 * @defaultValue `'flock'`
	 */
	readonly backend?: 'flock' | 'lease' | undefined;
	/**
	 * Remove the lock file on release. Programs that lock the same file and do not compare inodes afterwards (libwayland)
	 * can then hold a lock on the orphaned inode while a new server holds the new file.
	 *
	 * @defaultValue `false`: an empty file stays
	 */
	readonly removeLockFile?: boolean | undefined;
	/**
	 * Mode of a lock file that bindlock creates, regardless of the umask.
	 *
	 * @defaultValue `0o600`
	 */
	readonly lockFileMode?: number | undefined;
	/**
	 * Also remove dead sockets of other users, where the directory permits it. Root may always do so.
	 *
	 * A socket is dead if no visible process is bound to it and it refuses a connection, which needs write permission on
	 * the socket file (`socketMode`). Risk: a server of another user that takes no lock, in another network namespace,
	 * that is bound but does not listen yet, is not visible, and its socket is removed. Lock holders are safe.
	 *
	 * @defaultValue `false`: such a socket is refused with `EPERM`
	 */
	readonly reclaimForeign?: boolean | undefined;
	/**
	 * In a worker of `node:cluster`: the address belongs to this worker alone. The server must then be bound with
	 * `exclusive: true` as well, which {@link listen} does.
	 *
	 * @defaultValue `false`: refused in a worker, because the primary process binds for all workers
	 */
	readonly exclusive?: boolean | undefined;
}

/** How to replace the current holder. */
export interface ReplaceOptions {
	/**
	 * The signal that is sent to the holder, provided the kernel confirms that it holds the lock.
	 *
	 * @defaultValue `'SIGTERM'`
	 */
	readonly killSignal?: NodeJS.Signals | undefined;
	/**
	 * How long to wait after the signal, in milliseconds; takes precedence over `waitMs`.
	 *
	 * @defaultValue `waitMs` if given, else 10,000
	 */
	readonly timeoutMs?: number | undefined;
	/**
	 * Send `SIGKILL` when `timeoutMs` is over, then wait for as long again, at least 5 seconds.
	 *
	 * @defaultValue `false`: reject with `EADDRINUSE`
	 */
	readonly escalate?: boolean | undefined;
}

/** Options of {@link listen}. */
export interface ListenOptions extends AcquireOptions {
	/**
	 * As for `server.listen()`.
	 *
	 * @defaultValue 511
	 */
	readonly backlog?: number | undefined;
	/**
	 * As for `server.listen()`: all users may read the socket.
	 *
	 * @defaultValue `false`
	 */
	readonly readableAll?: boolean | undefined;
	/**
	 * As for `server.listen()`: all users may write to the socket.
	 *
	 * @defaultValue `false`
	 */
	readonly writableAll?: boolean | undefined;
	/**
	 * Mode of the socket file, set before the server listens. Without owner write permission (`0o200`) only root can find
	 * out after a crash that the socket is dead.
	 *
	 * @defaultValue what the umask leaves
	 */
	readonly socketMode?: number | undefined;
	/**
	 * Create the lock file or bind the socket again after another program removed them (cleaners of /tmp do) or replaced
	 * their directory, unless another server took the address first. Open connections continue.
	 *
	 * @defaultValue `true`
	 */
	readonly heal?: boolean | undefined;
	/**
	 * How long HTTP requests in progress may take after the server has stopped listening, in milliseconds; then their
	 * connections are cut. Connections of `node:net` and upgraded ones (WebSocket) are not cut.
	 *
	 * @defaultValue 30,000
	 */
	readonly drainMs?: number | undefined;
}

/** Options of {@link handOver}. */
export interface HandOverOptions {
	/**
	 * Arguments of the successor.
	 *
	 * @defaultValue none
	 */
	readonly args?: readonly string[] | undefined;
	/**
	 * Node's options for the successor.
	 *
	 * @defaultValue those of this process
	 */
	readonly execArgv?: readonly string[] | undefined;
	/**
	 * The successor's environment.
	 *
	 * @defaultValue that of this process
	 */
	readonly env?: Readonly<NodeJS.ProcessEnv> | undefined;
	/**
	 * The successor's working directory.
	 *
	 * @defaultValue that of this process
	 */
	readonly cwd?: string | undefined;
	/**
	 * How long the successor may take until it serves, in milliseconds; then it is killed.
	 *
	 * @defaultValue 30,000
	 */
	readonly timeoutMs?: number | undefined;
	/**
	 * As for {@link listen}, for this hand-over.
	 *
	 * @defaultValue the option of {@link listen}
	 */
	readonly drainMs?: number | undefined;
}

/** Options of `register`, for every server: the {@link ListenOptions} that do not concern the bind itself. */
export interface RegisterOptions
	extends Pick<
		ListenOptions,
		| 'waitMs'
		| 'replace'
		| 'label'
		| 'backend'
		| 'removeLockFile'
		| 'lockFileMode'
		| 'reclaimForeign'
		| 'heal'
		| 'drainMs'
	> {
	/**
	 * Addresses, as `server.listen()` gets them, that `register` ignores.
	 *
	 * @defaultValue none
	 */
	readonly exclude?: RegExp | undefined;
}
