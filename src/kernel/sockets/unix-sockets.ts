/**
 * The kernel's table of Unix sockets, /proc/net/unix (`proc_net_unix(5)`).
 *
 * A row has the path as the server wrote it in bind(2), and the inode of the socket, but not the inode of its file.
 */
import {basename, isAbsolute} from 'node:path';
import type {Interruptible} from '../interruptible.js';
import {readProcTable, readTable} from '../proc/procfs.js';

export interface SocketRow {
	/** Inode of the socket, not of its file. */
	readonly inode: string;
	readonly path: string;
	readonly type: 'stream' | 'datagram' | 'seqpacket' | 'other';
	readonly listening: boolean;
}

export interface NamedSocketRow extends SocketRow {
	/** Another row has the same inode: one of the two is a part of a name that contains a newline. */
	readonly isAmbiguous: boolean;
}

/** Returns the sockets that are bound to a path with this last component. */
export function* socketsWithName(name: string): Interruptible<NamedSocketRow[]> {
	const table = (yield* readTable('/proc/net/unix')) ?? '';
	const rows: NamedSocketRow[] = [];
	let repeated: ReadonlySet<string> | undefined;
	for (const row of rowsEndingWith(table, name)) {
		yield;
		// `name` may be the end of a longer name with a space in it.
		if (basename(row.path) !== name) continue;
		repeated ??= yield* repeatedInodes(table);
		rows.push({...row, isAmbiguous: repeated.has(row.inode)});
	}
	return rows;
}

/** Returns the first socket with one of these abstract names, each as the table shows it, for which `matches` is true. */
export function* findAbstractSocket(
	names: readonly string[],
	matches: (row: SocketRow) => boolean = () => true,
): Interruptible<SocketRow | undefined> {
	const table = (yield* readTable('/proc/net/unix')) ?? '';
	for (const name of names) {
		for (const row of rowsEndingWith(table, name)) if (row.path === name && matches(row)) return row;
	}
	return undefined;
}

/** Returns the socket with this inode, if it has a name and no other row has the same inode. */
export function socketWithInode(inode: number): SocketRow | undefined {
	const lines = (readProcTable('/proc/net/unix') ?? '').split('\n').filter(line => line.includes(` ${inode} `));
	const rows = lines.map(parseSocketRow);
	const found = rows.filter(row => row !== undefined && row !== 'connected' && row.inode === String(inode));
	return found.length === 1 ? (found[0] as SocketRow) : undefined;
}

/** Whether a client of this socket would reach its server. */
export function isServing({type, listening}: SocketRow): boolean {
	return listening || type === 'datagram';
}

/** Returns the path as this process reaches it: below the root, or the working directory, of the process that bound it. */
export function pathInProcess(pid: number, path: string): string {
	// Paths that mean something else in each process. Servers use them to bind long paths through a descriptor.
	const own = /^\/(?:proc\/(?:thread-)?self|dev(?=\/fd\/))\/(.*)$/s.exec(path)?.[1];
	if (own !== undefined) return `/proc/${pid}/${own}`;
	return isAbsolute(path) ? `/proc/${pid}/root${path}` : `/proc/${pid}/cwd/${path}`;
}

/** Searches for the whole name, because names may contain newlines and the table does not escape them. */
function* rowsEndingWith(table: string, name: string): Generator<SocketRow> {
	const wanted = `${Buffer.from(name, 'utf8').toString('latin1')}\n`;
	for (let at = table.indexOf(wanted); at !== -1; at = table.indexOf(wanted, at + 1)) {
		const row = '/ '.includes(table[at - 1] ?? '') ? rowEndingAt(table, at + wanted.length - 1) : undefined;
		if (row !== undefined) yield row;
	}
}

function rowEndingAt(table: string, end: number): SocketRow | undefined {
	for (let start = end; start > 0; ) {
		start = table.lastIndexOf('\n', start - 1);
		const row = parseSocketRow(table.slice(start + 1, end));
		if (row !== undefined) return row === 'connected' ? undefined : row;
	}
	return undefined;
}

/** Returns the inodes that more than one row has: one pass over the table, for all rows. */
function* repeatedInodes(table: string): Interruptible<ReadonlySet<string>> {
	const seen = new Set<string>();
	const repeated = new Set<string>();
	for (const [, inode = ''] of table.matchAll(rowStart)) {
		if (seen.has(inode)) repeated.add(inode);
		else seen.add(inode);
		if (seen.size % 100 === 0) yield;
	}
	return repeated;
}

const rowStart = /: [\da-f]{8} [\da-f]{8} [\da-f]{8} [\da-f]{4} [\da-f]{2} +(\d+)(?= |$)/gim;

/** `Num: RefCount Protocol Flags Type St Inode Path`; all but Inode and Path are hexadecimal. */
const rowPattern = /^[\da-f]+: [\da-f]{8} [\da-f]{8} ([\da-f]{8}) ([\da-f]{4}) ([\da-f]{2}) +(\d+) (.+)$/is;

const beyondAscii = /[\x80-\xff]/;

/** Parses one row. Returns `undefined` for a row without a path, and `'connected'` for a connection. */
export function parseSocketRow(text: string): SocketRow | 'connected' | undefined {
	const [, flags = '', type = '', state, inode = '', path = ''] = rowPattern.exec(text) ?? [];
	if (flags === '') return undefined;
	// Connections have the path of their listener: accepted ones (state 03), which may outlive it, and those in the
	// backlog (state 02, no inode yet).
	if (type !== '0002' && (state === '03' || state === '02')) return 'connected';
	return {
		inode,
		// Most names are ASCII, and a table may have thousands of them.
		path: beyondAscii.test(path) ? Buffer.from(path, 'latin1').toString('utf8') : path,
		type: types[type] ?? 'other',
		listening: (Number.parseInt(flags, 16) & acceptsConnections) !== 0,
	};
}

/** `SOCK_STREAM`, `SOCK_DGRAM` and `SOCK_SEQPACKET` as the table prints them. */
const types: Readonly<Record<string, SocketRow['type']>> = {'0001': 'stream', '0002': 'datagram', '0005': 'seqpacket'};

/** `__SO_ACCEPTCON` of linux/net.h. */
const acceptsConnections = 0x1_0000;
