/**
 * The processes that have a socket open, by the inode of the socket.
 */
import type {Holder} from '../../model/holder.js';
import {descriptorsOf, type ProcessDescriptor} from '../proc/process-descriptors.js';
import {allProcesses, confirmed} from '../proc/processes.js';
import {linkOrUndefined} from '../proc/procfs.js';
import type {SocketRow} from './unix-sockets.js';

/** Returns the processes that have these sockets open, by inode: one scan of all processes for all sockets. */
export function ownersOf(inodes: ReadonlySet<string>): ReadonlyMap<string, readonly ProcessDescriptor[]> {
	const owners = new Map<string, ProcessDescriptor[]>();
	if (inodes.size === 0) return owners;
	for (const found of descriptorsOf(allProcesses(), target => inodes.has(inodeOfLink(target)))) {
		const inode = inodeOfLink(found.target);
		owners.set(inode, [...(owners.get(inode) ?? []), found]);
	}
	return owners;
}

/**
 * Returns a process that has the socket open.
 *
 * @param claimed looked at first: a scan of all processes takes milliseconds
 */
export function ownerOf(row: SocketRow, claimed?: number): Holder | undefined {
	const [found] = descriptorsOf(processesFrom(claimed), target => target === linkOf(row));
	return found && confirmed(found);
}

function* processesFrom(first: number | undefined): Generator<number> {
	if (first !== undefined) yield first;
	yield* allProcesses();
}

/** Whether the process has the socket open, now. */
export function hasSocketOpen(pid: number, row: SocketRow): boolean {
	const [found] = descriptorsOf([pid], target => target === linkOf(row));
	return found !== undefined;
}

/**
 * Returns whether a socket is another one than that of a descriptor of this process.
 *
 * @param own `undefined`: every socket is another one
 */
export function isOtherThan(own: number | undefined): (row: SocketRow) => boolean {
	const ownLink = own === undefined ? undefined : linkOrUndefined(`/proc/self/fd/${own}`);
	return row => linkOf(row) !== ownLink;
}

/** Returns the text of the links in /proc/<pid>/fd that refer to this socket. */
export function linkOf({inode}: SocketRow): string {
	return `socket:[${inode}]`;
}

function inodeOfLink(target: string): string {
	return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '';
}
