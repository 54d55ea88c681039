/**
 * `bindlock list`: the table of all Unix sockets that an operator wishes `ss -xlp` printed.
 */
import type {Holder} from '../../model/holder.js';
import {printable} from '../../model/text.js';
import {showAge} from '../durations.js';
import {exit} from '../failures.js';
import {writeData, writeMessage} from '../output.js';
import {holderJson, printJson, table} from '../show.js';
import {boundEntries} from './bound.js';
import {devicesOf} from './directory-scan.js';
import {type Entry, leftEntries} from './left.js';
import {boundSockets} from './socket-table.js';

/** @returns the exit status */
export default async function list(directories: readonly string[], {json}: {json?: boolean}): Promise<number> {
	const devices = devicesOf(directories);
	const sockets = boundSockets(devices);
	if (sockets === undefined) throw new Error('there is no /proc/net/unix to read bound sockets from');
	const {entries: left, unread} = await leftEntries(directories, sockets, devices);
	if (unread.length > 0) {
		const more = unread.length > 1 ? ` (and ${unread.length - 1} more)` : '';
		writeMessage(`bindlock: not everything could be read: ${unread[0]}${more}`);
	}
	const entries = [...(await boundEntries(sockets, devices)), ...left].sort(byAddress);
	if (json) for (const entry of entries) printJson(toJson(entry));
	else if (entries.length > 0) writeData(table([heading, ...entries.map(toRow)], commandColumn));
	return exit.done;
}

const heading = ['STATE', 'PID', 'UID', 'AGE', 'LABEL', 'COMMAND', 'ADDRESS'] as const;
const commandColumn = heading.indexOf('COMMAND');

/** Of several at one address, first the one that clients reach: the kernel's table has them in no certain order. */
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
		showAge(holder?.since ?? since ?? shown?.since),
		holder?.label ?? '-',
		reason?.message ?? (shown?.command || '-'),
		printable(address),
	];
}

function toJson({address, state, socket, processes, holder, lockPath, reason, since}: Entry): object {
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
