/**
 * What a server gives to its successor and gets from its predecessor. hand-over/ carries it between the processes.
 */
import type {ShareableLock} from '../lock/address-lock.js';
import type {FileStatus, Listener} from '../model/system.js';

/** A listening socket of another process, which this one takes over. */
export interface InheritedSocket {
	readonly listener: Listener;
	/** Whether a service manager has bound the socket, so that its file stays on close. */
	readonly isPassed: boolean;
	/**
	 * @param found the file at the path
	 * @throws BindLockError if it is not the file that the other process bound
	 */
	checkFile(found: FileStatus | undefined): void;
	/** Tells the other process that this one is ready, and waits until it has stopped. `false`: this process failed. */
	complete(): Promise<boolean>;
	/** Tells the other process to continue. */
	fail(error: unknown): void;
}

/** What a successor needs to serve in place of a server. */
export interface Offer {
	/** The address as it was given. */
	readonly address: string;
	/** See {@link keyOf}. */
	readonly key: string;
	readonly lock: ShareableLock;
	readonly listener: Listener;
	/** The socket file; an abstract address has none. */
	readonly file: FileStatus | undefined;
	/** As {@link InheritedSocket.isPassed}. */
	readonly isPassed: boolean;
	/** Sets the callback for a release before the offer is accepted or withdrawn. */
	onRelease(callback: () => void): void;
	/**
	 * The successor is ready: this server stops listening.
	 *
	 * @param drainMs takes precedence over the option of `listen`
	 */
	accept(drainMs: number | undefined): void;
	/** This server continues alone. */
	withdraw(): void;
}
