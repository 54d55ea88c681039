/**
 * `bindlock list`: prints all Unix sockets with their processes and locks.
 */
import {takeMountSnapshots} from '../../kernel/mounts/mount-table.js';
import type {Holder} from '../../model/holder.js';
import {printable} from '../../model/text.js';
import {exit} from '../exit-status.js';
import {holderJson, printJson} from '../json.js';
import {writeData, writeMessage} from '../output.js';
import {Progress} from '../progress.js';
import {boundEntries} from './bound-entries.js';
import {directoryEntries} from './directory-entries.js';
import {devicesOf} from './directory-scan.js';
import type {Entry} from './entry.js';
import {boundSockets} from './socket-table.js';
import {table} from './table.js';

/** @returns the exit status */
export default async function list(directories: readonly string[], {json}: {json?: boolean}): Promise<number> {
	takeMountSnapshots();
	const devices = devicesOf(directories);
	const progress = new Progress('sockets');
	const sockets = await boundSockets(devices, progress);
	progress.end();
	if (sockets === undefined) throw new Error('cannot read /proc/net/unix, the table of bound sockets; mount /proc');
	const {entries: unbound, errors} = await directoryEntries(directories, sockets, devices);
	if (errors.length > 0) {
		const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
		writeMessage(`bindlock: some subdirectories could not be read: ${errors[0]}${more}`);
	}
	const entries = [...(await boundEntries(sockets, devices)), ...unbound].sort(byAddress);
	if (json) for (const entry of entries) printJson(entryToJson(entry));
	else if (entries.length > 0) writeData(table([heading, ...entries.map(toRow)], commandColumn));
	return exit.done;
}

const heading = ['STATE', 'PID', 'UID', 'AGE', 'LABEL', 'COMMAND', 'ADDRESS'] as const;
const commandColumn = heading.indexOf('COMMAND');

/** Sorts masked sockets of an address after the one that clients reach. The kernel's table has no defined order. */
function byAddress(one: Entry, other: Entry): number {
	if (one.address !== other.address) return one.address < other.address ? -1 : 1;
	return Number(one.state === 'masked') - Number(other.state === 'masked');
}

function toRow({address, state, processes, holder, since, reason}: Entry): string[] {
	const shown: Holder | undefined = processes[0] ?? holder;
	const others = processes.length > 1 ? `+${processes.length - 1}` : '';
	return [
		state,
		shown === undefined ? '-' : `${shown.pid}${others}`,
		String(shown?.uid ?? '-'),
		age(holder?.since ?? since ?? shown?.since),
		holder?.label ?? '-',
		reason?.message ?? (shown?.command || '-'),
		printable(address),
	];
}

/** Returns the age in the largest unit that fits: `3d`, `5h`, `12m`, `40s`. */
function age(since: Date | undefined): string {
	if (since === undefined) return '-';
	const seconds = Math.max(0, Math.floor((Date.now() - since.getTime()) / 1000));
	if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)}d`;
	if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h`;
	if (seconds >= 60) return `${Math.floor(seconds / 60)}m`;
	return `${seconds}s`;
}

function entryToJson({address, state, socket, processes, holder, lockPath, reason, since}: Entry): object {
	return {
		address,
		state,
		type: socket?.type,
		listening: socket?.listening,
		processes: processes.map(({pid, uid, command, since}) => ({pid, uid, command, since})),
		holder: holderJson(holder),
		since,
		reason,
		lockPath,
		networkNamespace: socket?.networkNamespace,
	};
}
