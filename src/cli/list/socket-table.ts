/**
 * Reads every Unix socket that a process is bound to, in every network namespace that this user can
 * read, and finds the file of each.
 */

import {type BigIntStats, fstatSync, readdirSync} from 'node:fs';
import {dirname, isAbsolute, join} from 'node:path';
import {inPieces} from '../../kernel/interruptible.js';
import {reachable, statInside, withReached} from '../../kernel/mounts/reachable.js';
import {namespaceOf} from '../../kernel/proc/namespaces.js';
import {allProcesses} from '../../kernel/proc/processes.js';
import {linkOrUndefined, readProcTable} from '../../kernel/proc/procfs.js';
import {ownersOf} from '../../kernel/sockets/socket-owners.js';
import {isInodeOf, readSocketFiles, type SocketFile} from '../../kernel/sockets/ss.js';
import {parseSocketRow, pathInProcess, type SocketRow} from '../../kernel/sockets/unix-sockets.js';
import type {Progress} from '../progress.js';
import {findFile, inodeKey} from './found-file.js';

export interface ListedSocket extends SocketRow {
	readonly isAbstract: boolean;
	/** The processes that have the socket open; empty if none is visible. */
	readonly pids: readonly number[];
	/** `net:[…]`; absent if it is the namespace of this process. */
	readonly networkNamespace?: string;
	/** The file at its path, as its process sees the path; absent for an abstract name, or if it is not visible. */
	readonly file?: BigIntStats;
	/** The path of that file for this process, if need be through `/proc/<pid>/root`. */
	readonly visiblePath?: string;
	/** The path of that file for one process, which {@link findFile} walks without a race with renamed directories. */
	readonly seenAt?: {readonly pid: number | 'self'; readonly path: string};
	/** Whether its path leads onto a mount that may hang, so that the file was not looked at. */
	readonly isOutOfReach?: boolean;
	/**
	 * Whether `file` is the file of this socket. `false`: the file was removed or replaced, so the socket is masked.
	 * Absent if that is unknown, and for an abstract name.
	 */
	readonly ownsFile?: boolean;
}

/**
 * Reads all bound sockets.
 *
 * @param devices of mounts that are looked at whatever their type
 * @param progress shows how many sockets have been looked at
 * @returns `undefined` without /proc
 */
export async function boundSockets(
	devices: readonly string[],
	progress: Progress,
): Promise<ListedSocket[] | undefined> {
	const own = namespaceOf('net');
	const rows = new Map<string, {readonly row: SocketRow; readonly namespace: string}>();
	for (const [namespace, table] of tables(own)) {
		for (const row of rowsOf(table)) rows.set(`${row.inode} ${row.path}`, {row, namespace});
	}
	if (rows.size === 0 && readProcTable('/proc/net/unix') === undefined) return undefined;
	const files = await readSocketFiles();
	const owners = await inPieces(ownersOf(new Set([...rows.values()].map(({row}) => row.inode))));
	const directories: Directories = new Map();
	const sockets = [...rows.values()].map(({row, namespace}, index) => {
		progress.show(index, rows.size);
		// One process may have several descriptors of the socket.
		const pids = [...new Set((owners.get(row.inode) ?? []).map(({pid}) => pid))];
		const fileInode = files.get(row.inode)?.ino;
		const isAbstract = row.path.startsWith('@') && fileInode === undefined;
		return {
			...row,
			isAbstract,
			pids,
			...(namespace === own ? {} : {networkNamespace: namespace}),
			...(isAbstract ? {} : locate(row.path, pids[0], fileInode, devices, directories)),
		};
	});
	return withOwnership(sockets, files);
}

/** Returns the inodes of the sockets of this network namespace that are bound now. */
export function boundInodes(): ReadonlySet<string> {
	return new Set([...rowsOf(readProcTable('/proc/net/unix') ?? '')].map(({inode}) => inode));
}

/** Adds `ownsFile` to each socket for which it is known. */
function withOwnership(sockets: readonly ListedSocket[], files: ReadonlyMap<string, SocketFile>): ListedSocket[] {
	const atFile = grouped(sockets, ({file}) => (file === undefined ? '' : inodeKey(file)));
	const ofInode = grouped(sockets, ({inode}) => inode);
	return sockets.map(socket => {
		const {file, inode, isAbstract, isOutOfReach, pids} = socket;
		if (isAbstract || isOutOfReach) return socket;
		const fileInode = files.get(inode)?.ino;
		const found = file?.isSocket() ? file : undefined;
		const owns = (owner: string): boolean => found !== undefined && isInodeOf(files.get(owner)?.ino ?? -1n, found);
		if (owns(inode)) return {...socket, ownsFile: true};
		const rivals = found === undefined ? [] : (atFile.get(inodeKey(found)) ?? []);
		const isAlone = rivals.length === 1 && fileInode === undefined;
		// Its process is not visible and may see another file at this path. Or the row is no socket, but the rest of a
		// name with a newline.
		if (pids.length === 0) return isAlone ? {...socket, ownsFile: true} : socket;
		if ((ofInode.get(inode) ?? []).length > 1) return socket;
		if (fileInode !== undefined || rivals.some(rival => owns(rival.inode))) return {...socket, ownsFile: false};
		return isAlone ? {...socket, ownsFile: true} : socket;
	});
}

function grouped<Value>(values: readonly Value[], keyOf: (value: Value) => string): Map<string, Value[]> {
	const groups = new Map<string, Value[]>();
	for (const value of values) {
		const group = groups.get(keyOf(value));
		if (group === undefined) groups.set(keyOf(value), [value]);
		else group.push(value);
	}
	return groups;
}

/** Reads the table of each network namespace by one of its processes: that of this process first, then all readable ones. */
function* tables(own: string): Generator<[namespace: string, table: string]> {
	yield [own, readProcTable('/proc/net/unix') ?? ''];
	const seen = new Set([own]);
	for (const pid of allProcesses()) {
		const namespace = linkOrUndefined(`/proc/${pid}/ns/net`);
		if (namespace === undefined || seen.has(namespace)) continue;
		seen.add(namespace);
		yield [namespace, readProcTable(`/proc/${pid}/net/unix`) ?? ''];
	}
}

/** The kernel prints newlines of a name unescaped: a line that does not look like a row continues the row before. */
function* rowsOf(table: string): Generator<SocketRow> {
	for (const text of table.trimEnd().split(/\n(?=[\da-f]+: [\da-f]{8} [\da-f]{8} [\da-f]{8} )/i)) {
		const row = parseSocketRow(text);
		if (row !== undefined && row !== 'connected') yield row;
	}
}

/**
 * Finds the file of a socket: at its path as its process sees it, else as this process sees it, because a server may
 * change its root or working directory after it binds; else under another name in the same directory, because the file
 * may have been renamed.
 *
 * @param fileInode the inode of the file, if the kernel reports it
 */
function locate(
	path: string,
	pid: number | undefined,
	fileInode: bigint | undefined,
	devices: readonly string[],
	directories: Directories,
): Pick<ListedSocket, 'file' | 'visiblePath' | 'seenAt' | 'isOutOfReach'> {
	const views = [...(pid === undefined ? [] : [pid]), ...(isAbsolute(path) ? (['self'] as const) : [])];
	const canLook = (each: number | 'self'): boolean => reachable(each, path, {devices, follow: false}) !== undefined;
	// If the view of its process is out of reach, stop there: this process may have another file at the path.
	const view = views.find(each => !canLook(each) || findFile(each, path, devices) !== undefined) ?? views[0];
	if (view === undefined) return {};
	if (!canLook(view)) return {isOutOfReach: true};
	const atPath = findFile(view, path, devices);
	const renamed =
		fileInode === undefined || (atPath !== undefined && isInodeOf(fileInode, atPath))
			? undefined
			: findRenamed(view, path, fileInode, devices, directories);
	const file = renamed?.file ?? atPath;
	if (file === undefined) return {};
	const rename = (old: string): string => (renamed === undefined ? old : join(dirname(old), renamed.name));
	const absolute = rename(isAbsolute(path) ? path : join(linkOrUndefined(`/proc/${pid}/cwd`) ?? '/', path));
	const own = findFile('self', absolute, devices);
	if (pid === undefined || (own !== undefined && inodeKey(own) === inodeKey(file))) {
		return {file, visiblePath: absolute, seenAt: {pid: 'self', path: absolute}};
	}
	return {file, visiblePath: rename(pathInProcess(pid, path)), seenAt: {pid: view, path: rename(path)}};
}

interface NamedFile {
	readonly name: string;
	readonly file: BigIntStats;
}

/** The sockets in each directory, by its inode key. A directory is read once for all its sockets. */
type Directories = Map<string, readonly NamedFile[]>;

/** Finds the socket file with this inode in the directory of a path. */
function findRenamed(
	view: number | 'self',
	path: string,
	fileInode: bigint,
	devices: readonly string[],
	directories: Directories,
): NamedFile | undefined {
	return withReached(view, dirname(path), {devices}, ({descriptor}) => {
		if (descriptor === undefined) return undefined;
		const key = inodeKey(fstatSync(descriptor, {bigint: true}));
		const sockets = directories.get(key) ?? socketsIn(descriptor);
		directories.set(key, sockets);
		return sockets.find(({file}) => isInodeOf(fileInode, file));
	});
}

function socketsIn(descriptor: number): NamedFile[] {
	const found: NamedFile[] = [];
	for (const entry of readdirSync(`/proc/self/fd/${descriptor}`, {withFileTypes: true, encoding: 'buffer'})) {
		const file = entry.isSocket() ? statInside(descriptor, entry.name) : undefined;
		if (file !== undefined) found.push({name: entry.name.toString(), file});
	}
	return found;
}
