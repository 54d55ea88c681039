/**
 * The rows for sockets to which processes are bound, with the state of their locks.
 */

import {atOnce} from '../../kernel/interruptible.js';
import {describeProcess} from '../../kernel/proc/processes.js';
import {identifyLockSocketHolder, recordIn} from '../../kernel/sockets/abstract-owners.js';
import {askLockSockets, type LockSocketAnswer} from '../../kernel/sockets/lock-socket-client.js';
import {nameInTable, paddedName} from '../../kernel/sockets/padded-name.js';
import {ownerOf} from '../../kernel/sockets/socket-owners.js';
import type {AbstractAddress} from '../../model/address.js';
import {attempt} from '../../model/attempt.js';
import type {Holder} from '../../model/holder.js';
import {nameInUse} from '../../protocol/abstract.js';
import {parseAddressArgument} from '../arguments.js';
import {reasonJson} from '../json.js';
import {readLockBeside} from '../lock-reader.js';
import type {Entry} from './entry.js';
import {boundInodes, type ListedSocket} from './socket-table.js';

type Describe = (pid: number) => Holder | undefined;

/** The lock socket of an abstract name. */
interface NameLock {
	readonly address: AbstractAddress;
	readonly socket: ListedSocket;
}

/** @param devices of mounts that are looked at whatever their type */
export async function boundEntries(sockets: readonly ListedSocket[], devices: readonly string[]): Promise<Entry[]> {
	const describe = cachedDescribe();
	const names = sockets.filter(({isAbstract}) => isAbstract);
	const locks = locksOf(names);
	const foundLocks = [...locks.values()];
	const asked = foundLocks.filter(({socket}) => socket.networkNamespace === undefined);
	const answers = await askLockSockets([...new Set(asked.map(({address}) => address.lockName))]);
	const stillBound = asked.length === 0 ? new Set<string>() : boundInodes();
	// A lock socket has no row of its own, except while its server has not bound yet.
	const lockSockets = new Set(foundLocks.map(({socket}) => socket));
	const entries: Entry[] = [];
	for (const socket of names) {
		if (lockSockets.has(socket)) continue;
		const processes = processesOf(socket, describe);
		const lock = locks.get(socket);
		const state = lock === undefined ? foreign : lockState(lock, answers, stillBound);
		entries.push({address: `@${nameOf(socket)}`, socket, processes, ...state});
	}
	for (const socket of sockets) if (!socket.isAbstract) entries.push(pathEntry(socket, devices, describe));
	return entries;
}

/** Returns a function that reads each process once: a process may have thousands of sockets. */
function cachedDescribe(): Describe {
	const known = new Map<number, Holder | undefined>();
	return pid => {
		if (!known.has(pid)) known.set(pid, describeProcess(pid));
		return known.get(pid);
	};
}

function pathEntry(socket: ListedSocket, devices: readonly string[], describe: Describe): Entry {
	const processes = processesOf(socket, describe);
	const {visiblePath, path, file, seenAt, ownsFile} = socket;
	const address = visiblePath === undefined || visiblePath.startsWith('/proc/') ? path : visiblePath;
	if (ownsFile !== true) return {address, state: ownsFile === false ? 'masked' : 'unknown', socket, processes};
	const common = {address, socket, processes, ...(file === undefined ? {} : {since: file.mtime})};
	const lockFile = seenAt && readLockBeside(seenAt.pid, seenAt.path, devices);
	if (lockFile === undefined) return {...common, state: 'foreign'};
	const {lock} = lockFile;
	const lockPath = `${visiblePath}.lock`;
	return {...common, state: lock === undefined ? 'foreign' : 'held', holder: lock?.holder, lockPath};
}

type EntryState = Pick<Entry, 'state' | 'holder' | 'reason'>;

const foreign: EntryState = {state: 'foreign'};

function lockState(
	{address, socket}: NameLock,
	answers: ReadonlyMap<string, LockSocketAnswer>,
	stillBound: ReadonlySet<string>,
): EntryState {
	const {pids, inode, networkNamespace} = socket;
	// If no process is visible, skip `ownerOf`, which would search all processes again.
	const holderAmong = (claimed: number | undefined): Holder | undefined =>
		pids[0] === undefined ? undefined : atOnce(ownerOf(socket, pids.find(pid => pid === claimed) ?? pids[0]));
	if (networkNamespace !== undefined) return {state: 'held', holder: holderAmong(undefined)};
	// The lock socket was closed while it was asked, so a refused connection means nothing.
	if (!stillBound.has(inode)) return foreign;
	const answer = answers.get(address.lockName);
	const by = identifyLockSocketHolder(answer, holderAmong(recordIn(answer)?.pid));
	if (by.bindlock !== false) return {state: 'held', holder: by.holder};
	return {state: 'blocked', holder: by.holder, reason: reasonJson(nameInUse(address, by))};
}

/** Returns the lock of each socket that is bound to an abstract name and has one. */
function locksOf(names: readonly ListedSocket[]): Map<ListedSocket, NameLock> {
	// A lock is a stream socket. The kernel has a separate set of names for each type.
	const streams = names.filter(({type}) => type === 'stream');
	const streamAt = new Map(streams.map(socket => [rowKey(socket, socket.path), socket]));
	const locks = new Map<ListedSocket, NameLock>();
	for (const socket of names) {
		const address = addressOf(socket);
		const lock = address && streamAt.get(rowKey(socket, nameInTable(paddedName(address.lockName))));
		if (address !== undefined && lock !== undefined) locks.set(socket, {address, socket: lock});
	}
	return locks;
}

/** Returns the name without the NULs that Node 20 appends up to 108 bytes. The kernel's table shows them as `@`. */
function nameOf({path}: ListedSocket): string {
	return Buffer.byteLength(path) === 108 ? path.slice(1).replace(/@+$/, '') : path.slice(1);
}

function addressOf(socket: ListedSocket): AbstractAddress | undefined {
	const address = attempt(() => parseAddressArgument(`@${nameOf(socket)}`));
	return address?.kind === 'abstract' ? address : undefined;
}

/** Abstract names are per network namespace. */
function rowKey({networkNamespace = ''}: ListedSocket, path: string): string {
	return `${networkNamespace} ${path}`;
}

function processesOf({pids}: ListedSocket, describe: Describe): Holder[] {
	return pids.map(describe).filter(found => found !== undefined);
}
