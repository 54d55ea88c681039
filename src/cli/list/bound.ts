/**
 * What processes are bound to, and which of them have a lock.
 */

import {type Answer, askLockSockets} from '../../kernel/lock-socket-client.js';
import {describeProcess} from '../../kernel/procfs.js';
import {namedBy, ownerOf, padded, recordIn} from '../../kernel/unix-sockets.js';
import type {AbstractAddress} from '../../model/address.js';
import type {Holder} from '../../model/holder.js';
import {nameInUse} from '../../protocol/abstract.js';
import {parseArgument} from '../addresses.js';
import {lockBeside} from '../lock-lookup.js';
import {reasonJson} from '../show.js';
import type {Entry} from './left.js';
import {type BoundSocket, boundInodes} from './socket-table.js';

type Describe = (pid: number | undefined) => Holder | undefined;

/** The lock socket of a name. */
interface NameLock {
	readonly address: AbstractAddress;
	readonly socket: BoundSocket;
}

/** @param devices of mounts that may be looked at whatever their type */
export async function boundEntries(sockets: readonly BoundSocket[], devices: readonly string[]): Promise<Entry[]> {
	const describe = describing();
	const names = sockets.filter(({isAbstract}) => isAbstract);
	const locks = locksOf(names);
	const foundLocks = [...locks.values()];
	const asked = foundLocks.filter(({socket}) => socket.networkNamespace === undefined);
	const answers = await askLockSockets([...new Set(asked.map(({address}) => address.lockName))]);
	const stillBound = asked.length === 0 ? new Set<string>() : boundInodes();
	// The lock socket of a name is told with that name; alone it is a lock whose server has yet to bind.
	const told = new Set(foundLocks.map(({socket}) => socket));
	const entries: Entry[] = [];
	for (const socket of names) {
		if (told.has(socket)) continue;
		const processes = processesOf(socket, describe);
		const lock = locks.get(socket);
		const state = lock === undefined ? foreign : lockState(lock, answers, stillBound);
		entries.push({address: `@${nameOf(socket)}`, socket, processes, ...state});
	}
	for (const socket of sockets) if (!socket.isAbstract) entries.push(pathEntry(socket, devices, describe));
	return entries;
}

/** Each process once: it may have thousands of sockets. */
function describing(): Describe {
	const known = new Map<number, Holder | undefined>();
	return pid => {
		if (pid !== undefined && !known.has(pid)) known.set(pid, describeProcess(pid));
		return pid === undefined ? undefined : known.get(pid);
	};
}

function pathEntry(socket: BoundSocket, devices: readonly string[], describe: Describe): Entry {
	const processes = processesOf(socket, describe);
	const {here, path, file, seenAt, isThere} = socket;
	const address = here === undefined || here.startsWith('/proc/') ? path : here;
	if (isThere !== true) return {address, state: isThere === false ? 'masked' : 'unknown', socket, processes};
	const common = {address, socket, processes, ...(file === undefined ? {} : {since: file.since})};
	const found = seenAt && lockBeside(seenAt.pid, seenAt.path, devices);
	if (found === undefined) return {...common, state: 'foreign'};
	const {lock} = found;
	return {...common, state: lock === undefined ? 'foreign' : 'held', holder: lock?.holder, lockPath: `${here}.lock`};
}

type State = Pick<Entry, 'state' | 'holder' | 'reason'>;

const foreign: State = {state: 'foreign'};

function lockState(
	{address, socket}: NameLock,
	answers: ReadonlyMap<string, Answer>,
	stillBound: ReadonlySet<string>,
): State {
	const {pids, inode, networkNamespace} = socket;
	// Where no process is seen to have it, none is looked for again.
	const holderAmong = (claimed: number | undefined): Holder | undefined =>
		pids[0] === undefined ? undefined : ownerOf(socket, pids.find(pid => pid === claimed) ?? pids[0]);
	if (networkNamespace !== undefined) return {state: 'held', holder: holderAmong(undefined)};
	// It ended while it was asked: then a refusal says nothing.
	if (!stillBound.has(inode)) return foreign;
	const answer = answers.get(address.lockName);
	const by = namedBy(answer, holderAmong(recordIn(answer)?.pid));
	if (by.bindlock !== false) return {state: 'held', holder: by.holder};
	return {state: 'blocked', holder: by.holder, reason: reasonJson(nameInUse(address, by))};
}

/** By the socket that is bound to the name. */
function locksOf(names: readonly BoundSocket[]): Map<BoundSocket, NameLock> {
	// The kernel keeps names apart by type, and a lock is a stream.
	const streams = names.filter(({type}) => type === 'stream');
	const streamAt = new Map(streams.map(socket => [keyOf(socket, socket.path), socket]));
	const locks = new Map<BoundSocket, NameLock>();
	for (const socket of names) {
		const address = addressOf(socket);
		const lock = address && streamAt.get(keyOf(socket, padded(address.lockName)));
		if (address !== undefined && lock !== undefined) locks.set(socket, {address, socket: lock});
	}
	return locks;
}

/** Node 20 pads a name with NULs to 108 bytes; the table shows them as `@`. */
function nameOf({path}: BoundSocket): string {
	return Buffer.byteLength(path) === 108 ? path.slice(1).replace(/@+$/, '') : path.slice(1);
}

function addressOf(socket: BoundSocket): AbstractAddress | undefined {
	try {
		const address = parseArgument(`@${nameOf(socket)}`);
		return address.kind === 'abstract' ? address : undefined;
	} catch {
		return undefined;
	}
}

/** Names are per network namespace. */
function keyOf({networkNamespace = ''}: BoundSocket, path: string): string {
	return `${networkNamespace} ${path}`;
}

function processesOf({pids}: BoundSocket, describe: Describe): Holder[] {
	return pids.map(describe).filter(found => found !== undefined);
}
