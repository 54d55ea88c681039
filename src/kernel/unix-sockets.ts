/**
 * The kernel's table of sockets, and who is bound to an abstract name.
 */
import {basename, isAbsolute} from 'node:path';
import type {Holder} from '../model/holder.js';
import type {LockRecord} from '../model/record.js';
import type {Bound, LockSocketHolder} from '../model/system.js';
import {claimedHolder, withRecord} from './lock-holders.js';
import {type Answer, askLockSocket} from './lock-socket-client.js';
import {allProcesses, confirmed, descriptorsOf, readProc} from './procfs.js';

/** Whether a client of this abstract name would be heard, in either spelling. */
export function isNameServed(name: string): boolean {
	const row = abstractRow([`@${name}`, padded(name)]);
	return row !== undefined && isServing(row);
}

/** As the links in /proc/<pid>/fd name it. */
export function linkOf({inode}: Pick<Row, 'inode'>): string {
	return `socket:[${inode}]`;
}

export function isServing({type, listening}: Row): boolean {
	return listening || type === 'datagram';
}

export interface NamedRow extends Row {
	/** Another row has the same socket: one of the two is a piece of a name with a newline in it. */
	readonly isAmbiguous: boolean;
}

/** Sockets that were bound to a path with this last name. */
export function* rowsWithName(name: string): Generator<NamedRow> {
	const table = readProc('/proc/net/unix', true) ?? '';
	for (const row of rowsNamed(table, name)) {
		// A name with a space in it, of which this is the end.
		if (basename(row.path) === name) yield {...row, isAmbiguous: isThereTwice(table, row)};
	}
}

function isThereTwice(table: string, {inode}: Row): boolean {
	const shown = new RegExp(`: [\\da-f]{8} [\\da-f]{8} [\\da-f]{8} [\\da-f]{4} [\\da-f]{2} +${inode}(?: |$)`, 'gim');
	return [...table.matchAll(shown)].length > 1;
}

/** A socket bound to the abstract name: of that exact length, or padded to 108 bytes with NULs, which the table shows as `@`. */
export function boundToAbstract(name: string): Bound | undefined {
	const row = abstractRow([`@${name}`, padded(name)]);
	if (row === undefined) return undefined;
	const holder = ownerOf(row);
	return {isCertain: true, ...(holder === undefined ? {} : {holder})};
}

/** Who is bound to an abstract lock name. */
export async function lockSocketHolder(name: string): Promise<LockSocketHolder | undefined> {
	const before = lockRow(name);
	const answer = await askLockSocket(name);
	const row = lockRow(name);
	if (row === undefined || row.inode !== before?.inode) return undefined;
	return namedBy(answer, ownerOf(row, recordIn(answer)?.pid));
}

/**
 * The kernel names the process, its answer adds label and time. Only where the kernel names nobody does the answer
 * count as a claim.
 *
 * @param owner a process that has the lock socket open
 */
export function namedBy(answer: Answer, owner: Holder | undefined): LockSocketHolder {
	const record = recordIn(answer);
	const holder = owner === undefined ? claimedHolder(record) : withRecord(owner, record);
	const bindlock =
		answer === undefined ? undefined : record !== undefined && (owner === undefined || owner.pid === record.pid);
	return holder === undefined ? {bindlock} : {bindlock, holder};
}

export function recordIn(answer: Answer): LockRecord | undefined {
	return answer === 'foreign' ? undefined : answer;
}

/** Whether a process is bound to an abstract lock name, now. */
export function hasLockSocket(pid: number, name: string): boolean {
	const row = lockRow(name);
	if (row === undefined) return false;
	for (const _ of descriptorsOf([pid], target => target === linkOf(row))) return true;
	return false;
}

/** Only stream sockets: the kernel keeps abstract names apart by type, so others are in nobody's way. */
function lockRow(name: string): Row | undefined {
	return abstractRow([padded(name)], row => row.type === 'stream');
}

/** As the table shows it: NULs as `@`. */
export function padded(name: string): string {
	return `@${name}`.padEnd(108 - Buffer.byteLength(name) + name.length, '@');
}

function abstractRow(spellings: readonly string[], suits: (row: Row) => boolean = () => true): Row | undefined {
	const table = readProc('/proc/net/unix', true) ?? '';
	for (const shown of spellings) {
		for (const row of rowsNamed(table, shown)) if (row.path === shown && suits(row)) return row;
	}
	return undefined;
}

/** A process that has the socket open: that one, if it is among them. */
export function ownerOf(row: Row, claimed?: number): Holder | undefined {
	for (const found of descriptorsOf(processesFrom(claimed), target => target === linkOf(row))) {
		return confirmed(found);
	}
	return undefined;
}

/** To look through all of them takes milliseconds. */
function* processesFrom(first: number | undefined): Generator<number> {
	if (first !== undefined) yield first;
	yield* allProcesses();
}

/** The path as that process sees it: under its root, which may be a container's, or its working directory. */
export function rootedFor(pid: number, path: string): string {
	// Names by which each process reaches its own, as long paths are bound through a directory's descriptor.
	const own = /^\/(?:proc\/(?:thread-)?self|dev(?=\/fd\/))\/(.*)$/s.exec(path)?.[1];
	if (own !== undefined) return `/proc/${pid}/${own}`;
	return isAbsolute(path) ? `/proc/${pid}/root${path}` : `/proc/${pid}/cwd/${path}`;
}

export interface Row {
	/** Of the socket, not of its file. */
	readonly inode: string;
	readonly path: string;
	readonly type: 'stream' | 'datagram' | 'seqpacket' | 'other';
	readonly listening: boolean;
}

/** A search for the whole name, because names may contain newlines, and the rows are not quoted. */
function* rowsNamed(table: string, name: string): Generator<Row> {
	const wanted = `${latin1(name)}\n`;
	for (let at = table.indexOf(wanted); at !== -1; at = table.indexOf(wanted, at + 1)) {
		const row = '/ '.includes(table[at - 1] ?? '') ? rowEndingAt(table, at + wanted.length - 1) : undefined;
		if (row !== undefined) yield row;
	}
}

/** `Num: RefCount Protocol Flags Type St Inode Path`, all but Inode and Path hexadecimal (`proc_net_unix(5)`). */
const rowPattern = /^[\da-f]+: [\da-f]{8} [\da-f]{8} ([\da-f]{8}) ([\da-f]{4}) ([\da-f]{2}) +(\d+) (.+)$/is;

function rowEndingAt(table: string, end: number): Row | undefined {
	for (let start = end; start > 0; ) {
		start = table.lastIndexOf('\n', start - 1);
		const row = parseRow(table.slice(start + 1, end));
		if (row !== undefined) return row === 'connected' ? undefined : row;
	}
	return undefined;
}

/** One row with a path; a row without one is `undefined`. */
export function parseRow(text: string): Row | 'connected' | undefined {
	const [, flags = '', type = '', state, inode = '', path = ''] = rowPattern.exec(text) ?? [];
	if (flags === '') return undefined;
	// Connections carry the path of their listener: accepted ones (state 03), which may outlive it,
	// and those that wait to be accepted (state 02, no inode yet).
	if (type !== '0002' && (state === '03' || state === '02')) return 'connected';
	const listening = (Number.parseInt(flags, 16) & acceptsConnections) !== 0;
	return {inode, path: utf8(path), type: types[type] ?? 'other', listening};
}

/** `SOCK_STREAM` and its like, as the table prints them. */
const types: Readonly<Record<string, Row['type']>> = {'0001': 'stream', '0002': 'datagram', '0005': 'seqpacket'};

/** `__SO_ACCEPTCON` of linux/net.h */
const acceptsConnections = 0x1_0000;

function latin1(text: string): string {
	return Buffer.from(text, 'utf8').toString('latin1');
}

function utf8(bytes: string): string {
	return Buffer.from(bytes, 'latin1').toString('utf8');
}
