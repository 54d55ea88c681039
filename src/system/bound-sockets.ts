/**
 * Which process has bound the socket of a file. The kernel's table in /proc has the path as each server wrote it and no
 * inode, so sockets with the same last name are candidates. `ss` tells the inode of each one's file (see
 * `socket-files.ts`), which decides; without it the path is followed as the process that has it open sees it.
 */
import {basename, isAbsolute} from 'node:path';
import type {Bound, FileStatus, Thoroughness} from '../protocol/calls.js';
import {mountOfFile} from './mounts.js';
import {allProcesses, confirmed, descriptorsOf, isTrouble, linkOrUndefined, type Possession} from './procfs.js';
import {type ReachOptions, statReachable, withReached} from './reach.js';
import {isInodeOf, readSocketFiles, type SocketFile} from './socket-files.js';
import {isServing, linkOf, type Row, rowsWithName} from './sockets.js';

/**
 * A socket of this network namespace that is bound to this file, listening or not.
 *
 * @param own descriptor of a socket that does not count
 * @returns at once, if there is no candidate
 */
export function boundTo(
	path: string,
	socket: FileStatus,
	thoroughness: Thoroughness,
	own?: number,
): Promise<Bound | undefined> | undefined {
	const rows = candidates(path, own);
	if (rows.length === 0 && thoroughness !== 'all') return undefined;
	return new Search(path, socket, thoroughness).among(rows);
}

/** Whether a client of this socket file would be heard; `undefined` if nobody is seen to be bound to it. */
export async function isServed(path: string, socket: FileStatus): Promise<boolean | undefined> {
	const rows = candidates(path);
	if (rows.length === 0) return undefined;
	const served: boolean[] = [];
	for (const row of rows) {
		if ((await new Search(path, socket, 'possible').among([row])) !== undefined) served.push(isServing(row));
	}
	return served.length === 0 ? undefined : served.includes(true);
}

/** Sockets that are bound, and alive, to a path with the same last name. */
export function candidates(path: string, own?: number): Row[] {
	const ownLink = own === undefined ? undefined : linkOrUndefined(`/proc/self/fd/${own}`);
	return [...rowsWithName(basename(path))].filter(row => linkOf(row) !== ownLink);
}

/** Processes that have these sockets open, by the inode of the socket: one look at all processes for all of them. */
export function ownersOf(inodes: ReadonlySet<string>): ReadonlyMap<string, readonly Possession[]> {
	const owners = new Map<string, Possession[]>();
	if (inodes.size === 0) return owners;
	let inode = '';
	const isWanted = (target: string): boolean => {
		inode = /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '';
		return inodes.has(inode);
	};
	for (const owner of descriptorsOf(allProcesses(), isWanted)) owners.set(inode, [...(owners.get(inode) ?? []), owner]);
	return owners;
}

class Search {
	readonly #path: string;
	readonly #socket: FileStatus;
	readonly #thoroughness: Thoroughness;
	readonly #device: string | undefined;
	/** The filesystem of our own file is asked anyway. */
	readonly #reach: ReachOptions;

	constructor(path: string, socket: FileStatus, thoroughness: Thoroughness) {
		this.#path = path;
		this.#socket = socket;
		this.#thoroughness = thoroughness;
		this.#device = deviceOf(path);
		this.#reach = {follow: false, devices: this.#device === undefined ? [] : [this.#device]};
	}

	async among(rows: readonly Row[]): Promise<Bound | undefined> {
		const files = (await readSocketFiles()) ?? new Map<string, SocketFile>();
		const named = rows.map(({inode}) => inode);
		const asked = this.#thoroughness === 'all' ? [...files.keys()] : named;
		const certain = asked.filter(inode => this.#isFile(files.get(inode)));
		const open = rows.filter(({inode}) => this.#isOpen(files.get(inode)));
		const owners = ownersOf(new Set([...certain, ...open.map(({inode}) => inode)]));
		for (const inode of certain) {
			for (const owner of owners.get(inode) ?? []) {
				const holder = confirmed(owner);
				if (holder !== undefined) return {holder, isCertain: true};
			}
		}
		return certain.length > 0 ? {isCertain: true} : this.#amongOpen(open, owners);
	}

	#isFile(file: SocketFile | undefined): boolean {
		return file !== undefined && isInodeOf(file.ino, this.#socket) && file.device === this.#device;
	}

	/** Not told: it is gone, its row was hidden, or the device of our file is not known. */
	#isOpen(file: SocketFile | undefined): boolean {
		return file === undefined || (isInodeOf(file.ino, this.#socket) && file.device !== this.#device);
	}

	#amongOpen(rows: readonly Row[], ownersByInode: ReadonlyMap<string, readonly Possession[]>): Bound | undefined {
		let found: Bound | undefined;
		for (const row of rows) {
			const owners = ownersByInode.get(row.inode) ?? [];
			const owner = owners.find(({pid}) => this.#leadsHere(pid, row.path));
			const holder = owner && confirmed(owner);
			if (holder !== undefined) return {holder, isCertain: true};
			if (this.#mayBeHere(row, owners)) found = {isCertain: false};
		}
		return found;
	}

	#leadsHere(pid: number | 'self', path: string): boolean {
		const found = statReachable(pid, path, this.#reach);
		return found !== undefined && found.ino === BigInt(this.#socket.ino) && found.dev === BigInt(this.#socket.dev);
	}

	#mayBeHere({path, type, listening}: Row, owners: readonly Possession[]): boolean {
		const isNamed = isAbsolute(path) && (path === this.#path || this.#leadsHere('self', path));
		// Of a process that cannot be seen: of another user, or on its way out.
		if (isNamed && owners.length === 0) return true;
		// One that listens is told by connecting.
		if (this.#thoroughness === 'named' || type !== 'stream' || listening) return false;
		// Relative to a directory that its process has left, perhaps.
		if (!isAbsolute(path)) return true;
		if (owners.length === 0) return this.#isMissing('self', path);
		// Its process has another root since it bound it, or its path has bytes that are not UTF-8.
		return owners.every(({pid}) => this.#isMissing(pid, path)) && (isNamed || this.#isMissing('self', path));
	}

	/** Nothing is there; not that it cannot be reached. */
	#isMissing(pid: number | 'self', path: string): boolean {
		return withReached(pid, path, this.#reach, ({descriptor}) => descriptor === undefined) === true;
	}
}

/** `undefined` if that cannot be told, as where the file is gone by now. */
function deviceOf(path: string): string | undefined {
	try {
		return mountOfFile(path)?.device;
	} catch (error) {
		if (isTrouble(error)) throw error;
		return undefined;
	}
}
