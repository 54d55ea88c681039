/**
 * Which process has bound the socket of a file. The kernel's table in /proc has the path as each server wrote it and no
 * inode, so sockets with the same last name are candidates. `ss` tells the inode of each one's file (see
 * `socket-files.ts`), which decides; without it the path is followed as the process that has it open sees it.
 */
import {basename, isAbsolute} from 'node:path';
import type {Holder} from '../model/holder.js';
import type {Bound, FileStatus, Thoroughness} from '../model/system.js';
import {breather} from './deadline.js';
import {mountOrUndefined} from './mounts/mount-table.js';
import {type ReachOptions, statReachable, withReached} from './mounts/path-walk.js';
import {allProcesses, confirmed, descriptorsOf, linkOrUndefined, type Possession} from './procfs.js';
import {isInodeOf, readSocketFiles, type SocketFile} from './socket-diag.js';
import {isServing, linkOf, type NamedRow, rowsWithName} from './unix-sockets.js';

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
	return new Search(path, socket, thoroughness).best(rows);
}

/** Whether a client of this socket file would be heard; `undefined` if nobody is seen to be bound to it. */
export async function isServed(path: string, socket: FileStatus): Promise<boolean | undefined> {
	const rows = candidates(path);
	if (rows.length === 0) return undefined;
	const found = await new Search(path, socket, 'possible').all(rows);
	return found.length === 0 ? undefined : found.some(({row}) => row !== undefined && isServing(row));
}

/** Sockets that are bound, and alive, to a path with the same last name. */
export function candidates(path: string, own?: number): NamedRow[] {
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

/** Without `ss`, each candidate's path has to be followed. With more of them the socket itself has to tell. */
const mostFollowed = 64;

interface Match {
	/** Absent for a socket with another name. */
	readonly row?: NamedRow;
	readonly holder?: Holder | undefined;
	readonly isCertain: boolean;
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
		this.#device = mountOrUndefined(path)?.device;
		this.#reach = {follow: false, devices: this.#device === undefined ? [] : [this.#device]};
	}

	/** One that is named before one that is not, and one that is certain before one that may be. */
	async best(rows: readonly NamedRow[]): Promise<Bound | undefined> {
		const found = await this.all(rows);
		const best = found.find(({holder}) => holder !== undefined) ?? found.find(({isCertain}) => isCertain) ?? found[0];
		if (best === undefined) return undefined;
		const {holder, isCertain} = best;
		return {isCertain, ...(holder === undefined ? {} : {holder})};
	}

	async all(rows: readonly NamedRow[]): Promise<Match[]> {
		const files = (await readSocketFiles()) ?? new Map<string, SocketFile>();
		const rowOf = new Map(rows.map(row => [row.inode, row]));
		const asked = this.#thoroughness === 'all' ? [...files.keys()] : [...rowOf.keys()];
		const bound = asked.filter(inode => this.#isFile(files.get(inode)));
		const open = this.#mostLikely(rows.filter(({inode}) => this.#isOpen(files.get(inode))));
		const owners = ownersOf(new Set([...bound, ...open.map(({inode}) => inode)]));
		const found: Match[] = [];
		for (const inode of bound) {
			const holder = firstConfirmed(owners.get(inode) ?? []);
			const row = rowOf.get(inode);
			// Nobody is seen to have it: of another user, or on its way out, or forged.
			found.push({...(row === undefined ? {} : {row}), holder, isCertain: holder !== undefined});
		}
		const breathe = breather();
		for (const row of open) {
			await breathe();
			const match = this.#follow(row, owners.get(row.inode) ?? []);
			if (match !== undefined) found.push(match);
		}
		return found;
	}

	/** Those with our very path first. */
	#mostLikely(rows: readonly NamedRow[]): readonly NamedRow[] {
		if (rows.length <= mostFollowed) return rows;
		const isOurs = ({path}: NamedRow): boolean => path === this.#path;
		return [...rows.filter(isOurs), ...rows.filter(row => !isOurs(row))].slice(0, mostFollowed);
	}

	#isFile(file: SocketFile | undefined): boolean {
		return file !== undefined && isInodeOf(file.ino, this.#socket) && file.device === this.#device;
	}

	/** Not told: it is gone, its row was hidden, or the device of our file is not known. */
	#isOpen(file: SocketFile | undefined): boolean {
		return file === undefined || (isInodeOf(file.ino, this.#socket) && file.device !== this.#device);
	}

	#follow(row: NamedRow, owners: readonly Possession[]): Match | undefined {
		const owner = row.isAmbiguous ? undefined : owners.find(({pid}) => this.#leadsHere(pid, row.path));
		const holder = owner && confirmed(owner);
		if (holder !== undefined) return {row, holder, isCertain: true};
		return this.#mayBeHere(row, owners) ? {row, isCertain: false} : undefined;
	}

	#leadsHere(pid: number | 'self', path: string): boolean {
		const found = statReachable(pid, path, this.#reach);
		return found !== undefined && found.ino === BigInt(this.#socket.ino) && found.dev === BigInt(this.#socket.dev);
	}

	#mayBeHere({path, type, listening}: NamedRow, owners: readonly Possession[]): boolean {
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

	/** Nothing is seen there, and nothing is in the way that may hang. */
	#isMissing(pid: number | 'self', path: string): boolean {
		return withReached(pid, path, this.#reach, ({descriptor}) => descriptor === undefined) === true;
	}
}

function firstConfirmed(owners: readonly Possession[]): Holder | undefined {
	for (const owner of owners) {
		const holder = confirmed(owner);
		if (holder !== undefined) return holder;
	}
	return undefined;
}
