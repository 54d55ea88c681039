/**
 * Every Unix socket that a process is bound to, in every network namespace that we may look into,
 * with what lies at its path.
 */
import {type BigIntStats, fstatSync, lstatSync, readdirSync} from 'node:fs';
import {dirname, isAbsolute, join} from 'node:path';
import {reachable, statInside, statReachable, withReached} from '../../kernel/mounts/path-walk.js';
import {allProcesses, linkOrUndefined, namespaceOf, readProc} from '../../kernel/procfs.js';
import {isInodeOf, socketFiles} from '../../kernel/socket-diag.js';
import {ownersOf} from '../../kernel/socket-owners.js';
import {parseRow, type Row, rootedFor} from '../../kernel/unix-sockets.js';

export interface BoundSocket extends Row {
	readonly isAbstract: boolean;
	/** Processes that have it open; empty if they may not be looked into. */
	readonly pids: readonly number[];
	/** Where it is not ours: `net:[…]`. */
	readonly networkNamespace?: string;
	/** What lies at its path, as its process sees it; absent for an abstract name, or if that cannot be seen. */
	readonly file?: FoundFile;
	/** The path by which we reach that file: as we would write it, or through the root of its process. */
	readonly here?: string;
	/** The same as a path of one process, by which it can be reached again without being led elsewhere. */
	readonly seenAt?: {readonly pid: number | 'self'; readonly path: string};
	/** Its path leads onto a mount that may hang, so that nobody has looked what lies there. */
	readonly isOutOfReach?: boolean;
	/**
	 * Whether `file` is the one that it is bound to. `false`: the file of another socket, or none; it cannot be
	 * reached by that path. Absent if that cannot be told, and for an abstract name.
	 */
	readonly isThere?: boolean;
}

export interface FoundFile {
	readonly dev: bigint;
	readonly ino: bigint;
	readonly isSocket: boolean;
	readonly since: Date;
}

/**
 * @param devices of mounts that may be looked at whatever their type
 * @returns `undefined` without a /proc to read it from
 */
export function boundSockets(devices: readonly string[]): BoundSocket[] | undefined {
	const own = namespaceOf('net');
	const rows = new Map<string, {readonly row: Row; readonly namespace: string}>();
	for (const [namespace, table] of tables(own)) {
		for (const row of rowsOf(table)) rows.set(`${row.inode} ${row.path}`, {row, namespace});
	}
	if (rows.size === 0 && readProc('/proc/net/unix') === undefined) return undefined;
	const files = socketFiles();
	const owners = ownersOf(new Set([...rows.values()].map(({row}) => row.inode)));
	const directories: Directories = new Map();
	const sockets = [...rows.values()].map(({row, namespace}) => {
		// A process may have it by several descriptors.
		const pids = [...new Set((owners.get(row.inode) ?? []).map(({pid}) => pid))];
		const made = files.get(row.inode);
		const isAbstract = row.path.startsWith('@') && made === undefined;
		return {
			...row,
			isAbstract,
			pids,
			...(namespace === own ? {} : {networkNamespace: namespace}),
			...(isAbstract ? {} : whatLiesAt(row.path, pids[0], made, devices, directories)),
		};
	});
	return told(sockets, files);
}

/** Inodes of the sockets of our network namespace that are bound now. */
export function boundInodes(): ReadonlySet<string> {
	return new Set([...rowsOf(readProc('/proc/net/unix', true) ?? '')].map(({inode}) => inode));
}

/** Each with `isThere`, if that can be told. */
function told(sockets: readonly BoundSocket[], files: ReadonlyMap<string, bigint>): BoundSocket[] {
	const atFile = grouped(sockets, ({file}) => (file === undefined ? '' : identity(file)));
	const ofInode = grouped(sockets, ({inode}) => inode);
	return sockets.map(socket => {
		const {file, inode, isAbstract, isOutOfReach, pids} = socket;
		if (isAbstract || isOutOfReach) return socket;
		const made = files.get(inode);
		const place = file?.isSocket ? file : undefined;
		const isOfPlace = (of: string): boolean => place !== undefined && isInodeOf(files.get(of) ?? -1n, place);
		if (isOfPlace(inode)) return {...socket, isThere: true};
		const here = place === undefined ? [] : (atFile.get(identity(place)) ?? []);
		const isAlone = here.length === 1 && made === undefined;
		// Of a process that cannot be seen, and that may see other files than we do; or no socket, but a piece of a
		// name with a newline in it.
		if (pids.length === 0) return isAlone ? {...socket, isThere: true} : socket;
		if ((ofInode.get(inode) ?? []).length > 1) return socket;
		if (made !== undefined || here.some(rival => isOfPlace(rival.inode))) return {...socket, isThere: false};
		return isAlone ? {...socket, isThere: true} : socket;
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

export function identity({dev, ino}: FoundFile): string {
	return `${dev}:${ino}`;
}

/** Of one process in each network namespace; ours first, and only ours if we may not look into others. */
function* tables(own: string): Generator<[namespace: string, table: string]> {
	yield [own, readProc('/proc/net/unix', true) ?? ''];
	const seen = new Set([own]);
	for (const pid of allProcesses()) {
		const namespace = linkOrUndefined(`/proc/${pid}/ns/net`);
		if (namespace === undefined || seen.has(namespace)) continue;
		seen.add(namespace);
		yield [namespace, readProc(`/proc/${pid}/net/unix`, true) ?? ''];
	}
}

/** A name may contain newlines, and the rows are not quoted: what does not begin like a row continues one. */
function* rowsOf(table: string): Generator<Row> {
	for (const text of table.trimEnd().split(/\n(?=[\da-f]+: [\da-f]{8} [\da-f]{8} [\da-f]{8} )/i)) {
		const row = parseRow(text);
		if (row !== undefined && row !== 'connected') yield row;
	}
}

/**
 * A server may have changed its root or its directory since it bound: then our own view may still have it. It may
 * also have been renamed since.
 */
function whatLiesAt(
	path: string,
	pid: number | undefined,
	made: bigint | undefined,
	devices: readonly string[],
	directories: Directories,
): Pick<BoundSocket, 'file' | 'here' | 'seenAt' | 'isOutOfReach'> {
	const views = [...(pid === undefined ? [] : [pid]), ...(isAbsolute(path) ? (['self'] as const) : [])];
	const canLook = (each: number | 'self'): boolean => reachable(each, path, {devices, follow: false}) !== undefined;
	// What we have at that path is another file, perhaps, than what its process has where nobody can look.
	const view = views.find(each => !canLook(each) || fileSeen(each, path, devices) !== undefined) ?? views[0];
	if (view === undefined) return {};
	if (!canLook(view)) return {isOutOfReach: true};
	const there = fileSeen(view, path, devices);
	const renamed =
		made === undefined || (there !== undefined && isInodeOf(made, there))
			? undefined
			: fileBeside(view, path, made, devices, directories);
	const file = renamed?.file ?? there;
	if (file === undefined) return {};
	const rename = (spelled: string): string => (renamed === undefined ? spelled : join(dirname(spelled), renamed.name));
	const absolute = rename(isAbsolute(path) ? path : join(linkOrUndefined(`/proc/${pid}/cwd`) ?? '/', path));
	const ours = fileSeen('self', absolute, devices);
	if (pid === undefined || (ours !== undefined && identity(ours) === identity(file))) {
		return {file, here: absolute, seenAt: {pid: 'self', path: absolute}};
	}
	return {file, here: rename(rootedFor(pid, path)), seenAt: {pid: view, path: rename(path)}};
}

interface NamedFile {
	readonly name: string;
	readonly file: FoundFile;
}

/** The sockets in each directory that was read, by its device and inode: many may be looked for in one. */
type Directories = Map<string, readonly NamedFile[]>;

/** The socket of that inode in the directory of that path. */
function fileBeside(
	view: number | 'self',
	path: string,
	inode: bigint,
	devices: readonly string[],
	directories: Directories,
): NamedFile | undefined {
	return withReached(view, dirname(path), {devices}, ({descriptor}) => {
		if (descriptor === undefined) return undefined;
		const {dev, ino} = fstatSync(descriptor, {bigint: true});
		const key = `${dev}:${ino}`;
		const sockets = directories.get(key) ?? socketsIn(descriptor);
		directories.set(key, sockets);
		return sockets.find(({file}) => isInodeOf(inode, file));
	});
}

function socketsIn(descriptor: number): NamedFile[] {
	const found: NamedFile[] = [];
	for (const entry of readdirSync(`/proc/self/fd/${descriptor}`, {withFileTypes: true, encoding: 'buffer'})) {
		const file = entry.isSocket() ? asFound(statInside(descriptor, entry.name)) : undefined;
		if (file !== undefined) found.push({name: entry.name.toString(), file});
	}
	return found;
}

/**
 * What lies at the path of a process, a symbolic link in its last part not followed.
 *
 * @returns `undefined` also for what lies on a mount that may hang
 */
export function fileSeen(pid: number | 'self', path: string, devices: readonly string[]): FoundFile | undefined {
	return asFound(statReachable(pid, path, {devices, follow: false}));
}

/** What lies at a path, a symbolic link in its last part not followed. */
export function fileAt(path: string): FoundFile | undefined {
	try {
		return asFound(lstatSync(path, {bigint: true}));
	} catch {
		return undefined;
	}
}

function asFound(stats: BigIntStats | undefined): FoundFile | undefined {
	return stats && {dev: stats.dev, ino: stats.ino, isSocket: stats.isSocket(), since: stats.mtime};
}
