/**
 * What processes are bound to, and which of them have a lock.
 */
import type {Holder} from '../errors.js';
import {inspect} from '../inspect.js';
import {lockBeside} from '../system/locks.js';
import {describeProcess} from '../system/procfs.js';
import {ownerOf, padded} from '../system/sockets.js';
import type {BoundSocket} from '../system/table.js';
import {parseArgument} from './addresses.js';
import type {Entry} from './list-left.js';
import {reasonJson} from './show.js';

/** @param devices of mounts that may be looked at whatever their type */
export async function boundEntries(sockets: readonly BoundSocket[], devices: readonly string[]): Promise<Entry[]> {
	const names = sockets.filter(({isAbstract}) => isAbstract);
	const locks = new Map(names.map(socket => [keyOf(socket, socket.path), socket]));
	const entries: Entry[] = [];
	const used = new Set<BoundSocket>();
	for (const socket of names) {
		const lockName = lockNameOf(socket);
		const lock = lockName === undefined ? undefined : locks.get(keyOf(socket, padded(lockName)));
		if (lock !== undefined) used.add(lock);
		entries.push(await nameEntry(socket, lock));
	}
	// The lock socket of a name is told with that name; alone it is a lock whose server has yet to bind.
	const shown = entries.filter(({socket}) => socket !== undefined && !used.has(socket));
	for (const socket of sockets) if (!socket.isAbstract) shown.push(pathEntry(socket, devices));
	return shown;
}

function pathEntry(socket: BoundSocket, devices: readonly string[]): Entry {
	const processes = processesOf(socket);
	const {here, path, file, seenAt, isThere} = socket;
	const address = here === undefined || here.startsWith('/proc/') ? path : here;
	if (isThere !== true) return {address, state: isThere === false ? 'masked' : 'unknown', socket, processes};
	const common = {address, socket, processes, ...(file === undefined ? {} : {since: file.since})};
	const found = seenAt && lockBeside(seenAt.pid, seenAt.path, devices);
	if (found === undefined) return {...common, state: 'foreign'};
	const {lock} = found;
	return {...common, state: lock === undefined ? 'foreign' : 'held', holder: lock?.holder, lockPath: `${here}.lock`};
}

async function nameEntry(socket: BoundSocket, lock: BoundSocket | undefined): Promise<Entry> {
	const processes = processesOf(socket);
	const address = `@${nameOf(socket)}`;
	if (lock === undefined) return {address, state: 'foreign', socket, processes};
	if (socket.networkNamespace !== undefined)
		return {address, state: 'held', socket, processes, holder: ownerOf(lock, lock.pids[0])};
	const {state, holder, reason} = await inspect(`unix:${address}`);
	const shown = state === 'free' || state === 'stale' ? 'foreign' : state;
	return {address, state: shown, socket, processes, holder, reason: reasonJson(reason)};
}

/** Node 20 pads a name with NULs to 108 bytes; the table shows them as `@`. */
function nameOf({path}: BoundSocket): string {
	return Buffer.byteLength(path) === 108 ? path.slice(1).replace(/@+$/, '') : path.slice(1);
}

function lockNameOf(socket: BoundSocket): string | undefined {
	try {
		const address = parseArgument(`@${nameOf(socket)}`);
		return address.kind === 'abstract' ? address.lockName : undefined;
	} catch {
		return undefined;
	}
}

/** Names are per network namespace. */
function keyOf({networkNamespace = ''}: BoundSocket, path: string): string {
	return `${networkNamespace} ${path}`;
}

function processesOf({pids}: BoundSocket): Holder[] {
	return pids.map(pid => describeProcess(pid)).filter(found => found !== undefined);
}
