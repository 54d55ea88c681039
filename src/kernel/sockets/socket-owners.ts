/**
 * The processes that have a socket open, by the inode of the socket.
 */
import type {Holder} from '../../model/holder.js';
import type {Interruptible} from '../interruptible.js';
import {descriptorsOf, type ProcessDescriptor} from '../proc/process-descriptors.js';
import {allProcesses, confirmed, likelyProcesses} from '../proc/processes.js';
import {linkOrUndefined} from '../proc/procfs.js';
import type {SocketRow} from './unix-sockets.js';

/** The processes that have sockets open, by inode. */
export type SocketOwners = ReadonlyMap<string, readonly ProcessDescriptor[]>;

/** Returns all processes that have these sockets open: one scan of all processes for all sockets. */
export function* ownersOf(inodes: ReadonlySet<string>): Interruptible<SocketOwners> {
	const owners = new Map<string, ProcessDescriptor[]>();
	if (inodes.size === 0) return owners;
	for (const pid of allProcesses()) {
		yield;
		addOwners(owners, pid, inodes);
	}
	return owners;
}

/**
 * Returns one process for each of these sockets, and stops as soon as each has one.
 *
 * @param deadline of `performance.now()`, in milliseconds
 * @returns `isComplete` is false if the deadline has passed before every process was looked at
 */
export function* someOwnersOf(
	inodes: ReadonlySet<string>,
	deadline: number,
): Interruptible<{readonly owners: SocketOwners; readonly isComplete: boolean}> {
	const owners = new Map<string, ProcessDescriptor[]>();
	if (inodes.size === 0) return {owners, isComplete: true};
	for (const pid of likelyProcesses()) {
		yield;
		addOwners(owners, pid, inodes);
		if (owners.size === inodes.size) return {owners, isComplete: true};
		if (performance.now() > deadline) return {owners, isComplete: false};
	}
	return {owners, isComplete: true};
}

function addOwners(owners: Map<string, ProcessDescriptor[]>, pid: number, inodes: ReadonlySet<string>): void {
	for (const found of descriptorsOf([pid], target => inodes.has(inodeOfLink(target)))) {
		const inode = inodeOfLink(found.target);
		const known = owners.get(inode);
		if (known === undefined) owners.set(inode, [found]);
		else known.push(found);
	}
}

/**
 * Returns a process that has the socket open.
 *
 * @param claimed looked at first: a scan of all processes takes milliseconds
 */
export function* ownerOf(row: SocketRow, claimed?: number): Interruptible<Holder | undefined> {
	for (const pid of likelyProcesses(claimed)) {
		yield;
		const [found] = descriptorsOf([pid], target => target === linkOf(row));
		if (found !== undefined) return confirmed(found);
	}
	return undefined;
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
