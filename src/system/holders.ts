/**
 * Who has the lock of a file, and who is bound to a socket file: as the kernel knows it.
 */
import {hostname} from 'node:os';
import {basename, isAbsolute} from 'node:path';
import type {Holder} from '../errors.js';
import type {Bound, Contention, FileStatus} from '../protocol/calls.js';
import type {LockRecord} from '../protocol/record.js';
import {allProcesses, describeProcess, descriptorsOf, readProc, statOrUndefined} from './procfs.js';

/**
 * Looks first where the record says: one descriptor of one process, so that the cost does not grow
 * with the locks and processes of the machine. Only for other holders it reads /proc/locks, and
 * only for those that this does not name it searches the processes.
 */
export function lockContention(file: FileStatus, lockPath: string, record: LockRecord | undefined): Contention {
	if (record?.fd !== undefined && hasExclusiveLock(record.pid, record.fd, file)) {
		return contention('exclusive', withRecord(describeProcess(record.pid, sinceOf(record)), record));
	}
	const locks = locksOf(file);
	const writers = locks.filter(lock => lock.exclusive);
	const confirmed = writers.length > 0 ? confirmedHolder(file, lockPath, writers) : undefined;
	if (confirmed !== undefined) return contention('exclusive', withRecord(confirmed, record));
	const holder = claimedHolder(record, writers);
	// Some filesystems show programs another device number than /proc/locks: then only a confirmed holder counts.
	if (writers.some(lock => lock.sameDevice)) return contention('exclusive', holder);
	const reader = locks.find(lock => !lock.exclusive && lock.sameDevice);
	return reader === undefined ? contention('unseen', holder) : contention('shared', describeProcess(reader.pid));
}

/**
 * A socket in /proc/net/unix that is bound to this file, listening or not. That table has the path
 * as the server wrote it, of this network namespace, and no inode of the file. So a row with the
 * same last name is looked at closer: does its path lead here for the process that has it open?
 */
export function boundTo(path: string, socket: FileStatus): Bound | undefined {
	const table = readProc('/proc/net/unix', true);
	if (table === undefined) return undefined;
	for (const row of rowsNamed(table, basename(path))) {
		const owners = [...descriptorsOf(allProcesses(), target => target === `socket:[${row.inode}]`)];
		if (!isBoundHere(row, owners, path, socket)) continue;
		const holder = owners[0] === undefined ? undefined : describeProcess(owners[0].pid);
		return holder === undefined ? {} : {holder};
	}
	return undefined;
}

function isBoundHere(row: Row, owners: readonly {readonly pid: number}[], path: string, socket: FileStatus): boolean {
	if (owners.some(({pid}) => leadsTo(rootedFor(pid, row.path), socket))) return true;
	if (isAbsolute(row.path)) return owners.length === 0 && (row.path === path || leadsTo(row.path, socket));
	// Relative to a directory that its process has left, perhaps: if it listens, connecting tells.
	// If it does not listen yet, nothing can tell, and what may be alive is not to be removed.
	return row.type === 'stream' && !row.listening;
}

/** The path as that process sees it: under its root, which may be a container's, or its working directory. */
function rootedFor(pid: number, path: string): string {
	return isAbsolute(path) ? `/proc/${pid}/root${path}` : `/proc/${pid}/cwd/${path}`;
}

function leadsTo(path: string, file: FileStatus): boolean {
	const found = statOrUndefined(path);
	return found !== undefined && found.ino === BigInt(file.ino) && found.dev === BigInt(file.dev);
}

interface Row {
	/** Of the socket, not of its file. */
	readonly inode: string;
	readonly path: string;
	readonly type: 'stream' | 'other';
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
		const [, flags = '', type, state, inode = '', path = ''] = rowPattern.exec(table.slice(start + 1, end)) ?? [];
		if (flags === '') continue;
		// Accepted connections (state 03) carry the path of their listener, and may outlive it.
		if (type !== '0002' && state === '03') return undefined;
		const listening = (Number.parseInt(flags, 16) & acceptsConnections) !== 0;
		return {inode, path: utf8(path), type: type === '0001' ? 'stream' : 'other', listening};
	}
	return undefined;
}

/** `__SO_ACCEPTCON` of linux/net.h */
const acceptsConnections = 0x1_0000;

interface Lock {
	readonly exclusive: boolean;
	/** Who took it; maybe a flock(1) that has exited since and left the lock to its shell. */
	readonly pid: number;
	readonly sameDevice: boolean;
}

/** The flocks of a file in /proc/locks, which hides those of other pid namespaces. */
function locksOf(file: FileStatus): Lock[] {
	const found: Lock[] = [];
	const pattern = new RegExp(`^\\d+: FLOCK +\\S+ +(READ|WRITE) +(-?\\d+) ([\\da-f]+:[\\da-f]+):${file.ino} `, 'gm');
	for (const [, mode, pid, device] of (readProc('/proc/locks', true) ?? '').matchAll(pattern)) {
		found.push({exclusive: mode === 'WRITE', pid: Number(pid), sameDevice: device === deviceOf(file)});
	}
	return found;
}

/** `major:minor` as /proc/locks prints it, from the number that stat gives (`makedev(3)`). */
function deviceOf(file: FileStatus): string {
	const dev = BigInt(file.dev);
	const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
	const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
	return `${hex(major)}:${hex(minor)}`;
}

function hex(number: bigint): string {
	return number.toString(16).padStart(2, '0');
}

/** Whether that descriptor of that process has an exclusive flock of this file, now. */
function hasExclusiveLock(pid: number, fd: number, file: FileStatus): boolean {
	const lock = /^lock:.*\bFLOCK +\S+ +WRITE +\S+ (\S+:\S+:\d+) /m.exec(readProc(`/proc/${pid}/fdinfo/${fd}`) ?? '');
	if (lock === null) return false;
	// Where the two device numbers differ (btrfs, overlay) the descriptor itself has to be asked.
	return lock[1] === `${deviceOf(file)}:${file.ino}` || leadsTo(`/proc/${pid}/fd/${fd}`, file);
}

/** Who took it, if that process still has it; else whoever has the descriptor now. */
function confirmedHolder(file: FileStatus, lockPath: string, locks: readonly Lock[]): Holder | undefined {
	const name = `/${basename(lockPath)}`;
	for (const pids of [locks.map(lock => lock.pid), allProcesses()]) {
		for (const {pid, fd} of descriptorsOf(pids, target => target.endsWith(name))) {
			if (hasExclusiveLock(pid, fd, file)) return describeProcess(pid);
		}
	}
	return undefined;
}

/** The holder by its own account, unless we can see that its account is out of date. */
function claimedHolder(record: LockRecord | undefined, locks: readonly Lock[]): Holder | undefined {
	if (record === undefined) return undefined;
	const host = record.host === undefined || record.host === hostname() ? undefined : record.host;
	const seen = host === undefined ? describeProcess(record.pid, sinceOf(record)) : undefined;
	if (host === undefined && seen === undefined) return undefined;
	const claim: Holder = {
		pid: record.pid,
		uid: record.uid ?? seen?.uid ?? -1,
		command: record.command ?? seen?.command ?? '',
		since: sinceOf(record),
		// We may not look into that process, but /proc/locks has the same pid.
		verifiedBy: locks.some(lock => lock.sameDevice && lock.pid === record.pid) ? 'kernel' : 'claim',
		...(host === undefined ? {} : {host}),
	};
	return withRecord(claim, record);
}

/** What only the record knows, if it is the record of this holder. */
function withRecord(holder: Holder | undefined, record: LockRecord | undefined): Holder | undefined {
	if (holder === undefined || record === undefined || record.pid !== holder.pid) return holder;
	return {
		...holder,
		since: sinceOf(record) ?? holder.since,
		...(record.label === undefined ? {} : {label: record.label}),
	};
}

function sinceOf(record: LockRecord): Date | undefined {
	const since = new Date(record.since ?? Number.NaN);
	return Number.isNaN(since.getTime()) ? undefined : since;
}

function contention(kind: Contention['kind'], holder: Holder | undefined): Contention {
	return holder === undefined ? {kind} : {kind, holder};
}

function latin1(text: string): string {
	return Buffer.from(text, 'utf8').toString('latin1');
}

function utf8(bytes: string): string {
	return Buffer.from(bytes, 'latin1').toString('utf8');
}
