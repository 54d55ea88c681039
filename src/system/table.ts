/**
 * Every Unix socket that a process is bound to, in every network namespace that we may look into,
 * with what lies at its path.
 */
import {lstatSync, readlinkSync} from 'node:fs';
import {isAbsolute, join} from 'node:path';
import {allProcesses, descriptorsOf, leadsTo, namespaceOf, readProc} from './procfs.js';
import {parseRow, type Row, rootedFor} from './sockets.js';

export interface BoundSocket extends Row {
	/** Processes that have it open; empty if they may not be looked into. */
	readonly pids: readonly number[];
	/** Where it is not ours: `net:[…]`. */
	readonly networkNamespace?: string;
	/** What lies at its path, as its process sees it; absent for an abstract name, or if that cannot be seen. */
	readonly file?: FoundFile;
	/** The path by which we reach that file: as we would write it, or through the root of its process. */
	readonly here?: string;
}

export interface FoundFile {
	readonly dev: bigint;
	readonly ino: bigint;
	readonly isSocket: boolean;
	readonly since: Date;
}

/** @returns `undefined` without a /proc to read it from */
export function boundSockets(): BoundSocket[] | undefined {
	const own = namespaceOf('net');
	const rows = new Map<string, {readonly row: Row; readonly namespace: string}>();
	for (const [namespace, table] of tables(own)) {
		for (const row of rowsOf(table)) rows.set(row.inode, {row, namespace});
	}
	if (rows.size === 0 && readProc('/proc/net/unix') === undefined) return undefined;
	const owners = ownersOf(rows);
	return [...rows.values()].map(({row, namespace}) => ({
		...row,
		pids: owners.get(row.inode) ?? [],
		...(namespace === own ? {} : {networkNamespace: namespace}),
		...whatLiesAt(row.path, owners.get(row.inode)?.[0]),
	}));
}

/** Of one process in each network namespace; ours first, and only ours if we may not look into others. */
function* tables(own: string): Generator<[namespace: string, table: string]> {
	yield [own, readProc('/proc/net/unix', true) ?? ''];
	const seen = new Set([own]);
	for (const pid of allProcesses()) {
		const namespace = linkOf(`/proc/${pid}/ns/net`);
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

function ownersOf(rows: ReadonlyMap<string, unknown>): Map<string, number[]> {
	const owners = new Map<string, number[]>();
	let inode = '';
	const isOne = (target: string): boolean => {
		inode = /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '';
		return rows.has(inode);
	};
	for (const {pid} of descriptorsOf(allProcesses(), isOne)) {
		const pids = owners.get(inode) ?? [];
		if (!pids.includes(pid)) owners.set(inode, [...pids, pid]);
	}
	return owners;
}

/** A server may have changed its root or its directory since it bound: then our own view may still have it. */
function whatLiesAt(path: string, pid: number | undefined): Pick<BoundSocket, 'file' | 'here'> {
	if (path.startsWith('@')) return {};
	const rooted = pid === undefined ? undefined : rootedFor(pid, path);
	const seen = rooted === undefined ? undefined : fileAt(rooted);
	const file = seen ?? (isAbsolute(path) ? fileAt(path) : undefined);
	if (file === undefined) return {};
	const absolute = isAbsolute(path) ? path : join(linkOf(`/proc/${pid}/cwd`) ?? '/', path);
	return {file, here: rooted === undefined || leadsTo(absolute, file) ? absolute : rooted};
}

/** What lies at a path, a symbolic link in its last part not followed. */
export function fileAt(path: string): FoundFile | undefined {
	try {
		const found = lstatSync(path, {bigint: true});
		return {dev: found.dev, ino: found.ino, isSocket: found.isSocket(), since: found.mtime};
	} catch {
		return undefined;
	}
}

function linkOf(path: string): string | undefined {
	try {
		return readlinkSync(path);
	} catch {
		return undefined;
	}
}
