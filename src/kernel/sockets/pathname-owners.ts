/**
 * The process that is bound to a socket file.
 *
 * /proc/net/unix has the path as each server wrote it, and not the inode of the file. So each socket with the same last
 * path component is a candidate. `ss` shows the inode of a socket's file, which decides. Without `ss` the path is
 * resolved as the process that has the socket open sees it.
 */
import {basename, isAbsolute} from 'node:path';
import {isSameFile} from '../../model/file-identity.js';
import type {Holder} from '../../model/holder.js';
import type {Bound, FileStatus, Thoroughness} from '../../model/system.js';
import {breather} from '../deadline.js';
import {type Interruptible, inPieces} from '../interruptible.js';
import {mountOfFile} from '../mounts/mount-table.js';
import {type ReachOptions, statReachable, withReached} from '../mounts/reachable.js';
import type {ProcessDescriptor} from '../proc/process-descriptors.js';
import {confirmed, searchMs} from '../proc/processes.js';
import {isOtherThan, ownersOf, type SocketOwners, someOwnersOf} from './socket-owners.js';
import {isInodeOf, readSocketFiles, type SocketFile} from './ss.js';
import {isServing, type NamedSocketRow, socketsWithName} from './unix-sockets.js';

/**
 * Finds a socket of this network namespace that is bound to the file, listening or not.
 *
 * @param own descriptor of a socket that does not count
 * @returns `undefined` at once if there is no candidate
 */
export function boundTo(
	path: string,
	socket: FileStatus,
	thoroughness: Thoroughness,
	own?: number,
): Promise<Bound | undefined> | undefined {
	const search = (rows: readonly NamedSocketRow[]): Promise<Bound | undefined> | undefined => {
		if (rows.length === 0 && thoroughness !== 'all') return undefined;
		return new Search(path, socket, thoroughness).best(rows);
	};
	const rows = inPieces(candidates(path, own));
	return rows instanceof Promise ? rows.then(search) : search(rows);
}

/** Whether a client of the socket file would reach a server; `undefined` if no process is seen to be bound to it. */
export async function isServed(path: string, socket: FileStatus): Promise<boolean | undefined> {
	const rows = await inPieces(candidates(path));
	if (rows.length === 0) return undefined;
	const found = await new Search(path, socket, 'possible').all(rows);
	return found.length === 0 ? undefined : found.some(({row}) => row !== undefined && isServing(row));
}

/** Returns the sockets that are bound to a path with the same last component. */
export function* candidates(path: string, own?: number): Interruptible<NamedSocketRow[]> {
	const rows = yield* socketsWithName(basename(path));
	return own === undefined ? rows : rows.filter(isOtherThan(own));
}

/** The most candidates whose paths are resolved. With more of them, connecting has to decide. */
const maxResolved = 64;

interface Match extends Bound {
	/** Absent for a socket with another name. */
	readonly row?: NamedSocketRow | undefined;
}

class Search {
	readonly #path: string;
	readonly #socket: FileStatus;
	readonly #thoroughness: Thoroughness;
	readonly #device: string | undefined;
	/** The filesystem of the socket file counts as safe: the protocol calls it anyway. */
	readonly #reach: ReachOptions;

	constructor(path: string, socket: FileStatus, thoroughness: Thoroughness) {
		this.#path = path;
		this.#socket = socket;
		this.#thoroughness = thoroughness;
		this.#device = mountOfFile(path)?.device;
		this.#reach = {follow: false, devices: this.#device === undefined ? [] : [this.#device]};
	}

	/** Prefers a match with a holder, then a certain one. */
	async best(rows: readonly NamedSocketRow[]): Promise<Bound | undefined> {
		const found = await this.all(rows);
		return found.find(({holder}) => holder !== undefined) ?? found.find(({isCertain}) => isCertain) ?? found[0];
	}

	async all(rows: readonly NamedSocketRow[]): Promise<Match[]> {
		const files = await readSocketFiles();
		const {bound, undecided} = await inPieces(this.#sort(rows, files));
		const {owners, isComplete} = await this.#owners([...bound.keys()], undecided);
		const found: Match[] = [];
		for (const [inode, row] of bound) {
			const holder = firstConfirmed(owners.get(inode) ?? []);
			// Without a holder: the process is of another user, is exiting, or the output of `ss` was forged by a name.
			found.push({row, holder, isCertain: holder !== undefined, isSearched: isComplete});
		}
		const breathe = breather();
		for (const row of undecided) {
			await breathe();
			const match = this.#resolve(row, owners.get(row.inode) ?? []);
			if (match !== undefined) found.push(match);
		}
		return found;
	}

	/** Returns the sockets whose file is ours according to `ss`, by inode, and those about which it does not decide. */
	*#sort(
		rows: readonly NamedSocketRow[],
		files: ReadonlyMap<string, SocketFile>,
	): Interruptible<{
		readonly bound: ReadonlyMap<string, NamedSocketRow | undefined>;
		readonly undecided: readonly NamedSocketRow[];
	}> {
		const bound = new Map<string, NamedSocketRow | undefined>();
		const undecided: NamedSocketRow[] = [];
		if (this.#thoroughness === 'all') {
			for (const [inode, file] of files) {
				yield;
				if (this.#isOurFile(file)) bound.set(inode, undefined);
			}
		}
		for (const row of rows) {
			yield;
			const file = files.get(row.inode);
			if (this.#isOurFile(file)) bound.set(row.inode, row);
			else if (this.#isUndecided(file)) undecided.push(row);
		}
		return {bound, undecided: this.#mostLikely(undecided)};
	}

	/** One owner is enough to name a process that is bound. All are needed to find out whether one is. */
	async #owners(
		bound: readonly string[],
		undecided: readonly NamedSocketRow[],
	): Promise<{readonly owners: SocketOwners; readonly isComplete: boolean}> {
		const inodes = new Set([...bound, ...undecided.map(({inode}) => inode)]);
		if (undecided.length > 0) return {owners: await inPieces(ownersOf(inodes)), isComplete: true};
		return await inPieces(someOwnersOf(inodes, performance.now() + searchMs));
	}

	/** Sockets with exactly this path come first. */
	#mostLikely(rows: readonly NamedSocketRow[]): readonly NamedSocketRow[] {
		if (rows.length <= maxResolved) return rows;
		const isOurs = ({path}: NamedSocketRow): boolean => path === this.#path;
		return [...rows.filter(isOurs), ...rows.filter(row => !isOurs(row))].slice(0, maxResolved);
	}

	#isOurFile(file: SocketFile | undefined): boolean {
		return file !== undefined && isInodeOf(file.ino, this.#socket) && file.device === this.#device;
	}

	/** Whether `ss` does not decide: the socket is gone, its row was hidden, or the device of our file is not known. */
	#isUndecided(file: SocketFile | undefined): boolean {
		return file === undefined || (isInodeOf(file.ino, this.#socket) && file.device !== this.#device);
	}

	#resolve(row: NamedSocketRow, owners: readonly ProcessDescriptor[]): Match | undefined {
		const owner = row.isAmbiguous ? undefined : owners.find(({pid}) => this.#leadsToFile(pid, row.path));
		const holder = owner && confirmed(owner);
		if (holder !== undefined) return {row, holder, isCertain: true};
		return this.#mayBeBound(row, owners) ? {row, isCertain: false} : undefined;
	}

	#leadsToFile(pid: number | 'self', path: string): boolean {
		const found = statReachable(pid, path, this.#reach);
		return found !== undefined && isSameFile(found, this.#socket);
	}

	#mayBeBound({path, type, listening}: NamedSocketRow, owners: readonly ProcessDescriptor[]): boolean {
		const isNamed = isAbsolute(path) && (path === this.#path || this.#leadsToFile('self', path));
		// The owner cannot be seen: it is of another user, or is exiting.
		if (isNamed && owners.length === 0) return true;
		// For a listening stream socket connecting decides.
		if (this.#thoroughness === 'named' || type !== 'stream' || listening) return false;
		// A relative path may have been bound in a directory that its process has left.
		if (!isAbsolute(path)) return true;
		if (owners.length === 0) return this.#isMissing('self', path);
		// Its process may have changed its root since bind(2), or the path may contain bytes that are not UTF-8.
		return owners.every(({pid}) => this.#isMissing(pid, path)) && (isNamed || this.#isMissing('self', path));
	}

	/** Whether there is no file at the path; `false` also where a filesystem that may hang is in the way. */
	#isMissing(pid: number | 'self', path: string): boolean {
		return withReached(pid, path, this.#reach, ({descriptor}) => descriptor === undefined) === true;
	}
}

function firstConfirmed(owners: readonly ProcessDescriptor[]): Holder | undefined {
	for (const owner of owners) {
		const holder = confirmed(owner);
		if (holder !== undefined) return holder;
	}
	return undefined;
}
