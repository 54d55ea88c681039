/**
 * A row of the table of `bindlock list`.
 */
import type {Holder} from '../../model/holder.js';
import type {ListedSocket} from './socket-table.js';

export interface Entry {
	readonly address: string;
	readonly state: 'held' | 'foreign' | 'masked' | 'unknown' | 'stale' | 'blocked';
	/** Absent if no process is bound. */
	readonly socket?: ListedSocket;
	/** The processes that have the socket open. */
	readonly processes: readonly Holder[];
	/** The holder of the lock. */
	readonly holder?: Holder | undefined;
	readonly lockPath?: string | undefined;
	readonly reason?: {readonly code: string; readonly message: string} | undefined;
	/** When the socket file was created. */
	readonly since?: Date;
}
