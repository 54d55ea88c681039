/**
 * The process that has an address.
 */
import {escaped, quoted} from './text.js';

/** A process that holds the lock of an address, or is bound to it. */
export interface Holder {
	/** Process id in this process's pid namespace; unverified, it may be one of the holder's own pid namespace. */
	readonly pid: number;
	/** User id of the process; `undefined` if unknown. */
	readonly uid: number | undefined;
	/** Its program and script, without further arguments, which may be secret; `undefined` if unknown. */
	readonly command: string | undefined;
	/** When the lock was taken. For a holder without a record: when its process started. */
	readonly since: Date | undefined;
	/** The holder's `label` option. */
	readonly label?: string;
	/** The holder's host name, if it differs from that of this process: a container that shares the directory. */
	readonly host?: string;
	/**
	 * `true` if /proc confirms that this process has the lock, or is bound to the address, now. `false` if only the
	 * lock file says so: the process is in another pid namespace, or this process may not inspect it.
	 */
	readonly verified: boolean;
}

/** Describes a holder for a message: `pid 12 (node server.js), uid 0, label "blue", since 2026-01-01T00:00:00.000Z`. */
export function describeHolder(holder: Holder): string {
	const parts = [`pid ${holder.pid}${holder.command === undefined ? '' : ` (${shorten(holder.command)})`}`];
	if (holder.uid !== undefined) parts.push(`uid ${holder.uid}`);
	if (holder.host !== undefined) parts.push(`host ${quoted(holder.host)}`);
	if (holder.label !== undefined) parts.push(`label ${quoted(holder.label)}`);
	if (holder.since !== undefined) parts.push(`since ${holder.since.toISOString()}`);
	if (!holder.verified) parts.push('according to its record; the kernel does not confirm it here');
	return parts.join(', ');
}

function shorten(command: string): string {
	return escaped(command.length > 120 ? `${command.slice(0, 119).toWellFormed()}…` : command);
}
