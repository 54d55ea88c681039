/**
 * The process that has an address.
 */
import {escaped, quoted} from './text.js';

/** Who has an address. */
export interface Holder {
	/** Process id, as seen from this process's pid namespace (a claim from another namespace: as seen from there). */
	readonly pid: number;
	/** User id of the process; `undefined` if neither the kernel nor its record tells. */
	readonly uid: number | undefined;
	/** Its program and script, without further arguments, which may be secret; `undefined` if unknown. */
	readonly command: string | undefined;
	/** When the lock was taken; for a holder that writes no record, when its process started. */
	readonly since: Date | undefined;
	/** The `label` option of the holder, if it gave one. */
	readonly label?: string;
	/** Host name of the holder where it differs from ours: a container that shares the directory. */
	readonly host?: string;
	/**
	 * `true` if /proc confirms that this process has the lock, or is bound to the address, now. `false` if only the
	 * lock file says so: the process is in another pid namespace, or this process may not inspect it.
	 */
	readonly verified: boolean;
}

/** `pid 12 (node server.js), uid 0, label "blue", since 2026-01-01T00:00:00.000Z`. */
export function describeHolder(holder: Holder): string {
	const parts = [`pid ${holder.pid}${holder.command === undefined ? '' : ` (${shorten(holder.command)})`}`];
	if (holder.uid !== undefined) parts.push(`uid ${holder.uid}`);
	if (holder.host !== undefined) parts.push(`host ${quoted(holder.host)}`);
	if (holder.label !== undefined) parts.push(`label ${quoted(holder.label)}`);
	if (holder.since !== undefined) parts.push(`since ${holder.since.toISOString()}`);
	if (!holder.verified) parts.push('as its record claims; the kernel could not confirm it from here');
	return parts.join(', ');
}

function shorten(command: string): string {
	return escaped(command.length > 120 ? `${command.slice(0, 119).toWellFormed()}…` : command);
}
