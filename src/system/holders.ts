/**
 * Who has the lock of a file, as the kernel knows it.
 */
import {existsSync} from 'node:fs';
import {hostname} from 'node:os';
import {basename} from 'node:path';
import {codeOf, type Holder} from '../errors.js';
import type {Contention, FileStatus} from '../protocol/calls.js';
import type {LockRecord} from '../protocol/record.js';
import {
	allProcesses,
	confirmed,
	describeProcess,
	descriptorsOf,
	initialPidNamespace,
	leadsTo,
	namespaceOf,
	type Possession,
	processOf,
	readProc,
} from './procfs.js';

/**
 * Looks first where the record says: one descriptor of one process, so that the cost does not grow
 * with the locks and processes of the machine. Only for other holders it reads /proc/locks, and
 * only for those that this does not name it searches the processes.
 */
export function lockContention(file: FileStatus, lockPath: string, record: LockRecord | undefined): Contention {
	const recorded = recordedHolder(file, record);
	if (recorded !== undefined) return contention('exclusive', recorded);
	const locks = locksOf(file);
	const writers = locks.filter(lock => lock.mode === 'WRITE');
	const seen = writers.length > 0 ? confirmedHolder(file, lockPath, writers, 'WRITE') : undefined;
	// A flock(1) on the descriptor of a waiter that gave up: granted the lock in its last moment, and gone in the next.
	if (seen !== undefined && takesForOthers(seen.pid)) return contention('unseen', seen);
	if (seen !== undefined) return contention('exclusive', withRecord(seen, record));
	const holder = claimedHolder(record);
	// Some filesystems show programs another device number than /proc/locks: then only a confirmed holder counts.
	if (writers.some(lock => lock.sameDevice)) return contention('exclusive', holder);
	const readers = locks.filter(lock => lock.mode === 'READ' && lock.sameDevice);
	if (readers.length > 0) return contention('shared', confirmedHolder(file, lockPath, readers, 'READ'));
	const hidden = seesAllLocks() ? undefined : confirmedIn(allProcesses(), file, lockPath, 'WRITE');
	if (hidden !== undefined && !takesForOthers(hidden.pid)) {
		return contention('exclusive', withRecord(confirmed(hidden), record));
	}
	const unseen = contention('unseen', holder);
	const elsewhere = showsNothing()
		? holder !== undefined
		: isElsewhere(record) && (locks.length > 0 || !seesAllLocks());
	return elsewhere ? {...unseen, kind: 'unseen', elsewhere} : unseen;
}

/**
 * Whether /proc/locks shows every flock of this machine. In a pid namespace it leaves out those whose takers are
 * processes of another one, or of none any more, such as a flock(1) that has exited and left the lock to its shell
 * (`locks_translate_pid` in fs/locks.c).
 */
function seesAllLocks(): boolean {
	return namespaceOf('pid') === initialPidNamespace && existsSync('/proc/locks');
}

/** As the kernel calls exclusive and shared. */
type Mode = 'WRITE' | 'READ';

interface Lock {
	readonly mode: Mode;
	/**
	 * Who took it, which says nothing about who has it: a flock(1) exits and leaves the lock to its shell, and the pid
	 * may be another process's by now.
	 */
	readonly pid: number;
	readonly sameDevice: boolean;
}

/** The flocks of a file in /proc/locks, which hides those of other pid namespaces. */
function locksOf(file: FileStatus): Lock[] {
	const found: Lock[] = [];
	const pattern = new RegExp(`^\\d+: FLOCK +\\S+ +(READ|WRITE) +(-?\\d+) ([\\da-f]+:[\\da-f]+):${file.ino} `, 'gm');
	for (const [, mode, pid, device] of (readProc('/proc/locks', true) ?? '').matchAll(pattern)) {
		found.push({mode: mode as Mode, pid: Number(pid), sameDevice: device === deviceOf(file)});
	}
	return found;
}

/** `major:minor` as /proc/locks prints it. Kept, because a process asks about one or two filesystems. */
function deviceOf({dev}: FileStatus): string {
	if (dev !== lastDevice?.dev) lastDevice = {dev, text: formatDevice(BigInt(dev))};
	return lastDevice.text;
}

let lastDevice: {readonly dev: FileStatus['dev']; readonly text: string} | undefined;

/** From the number that stat gives (`makedev(3)`). */
function formatDevice(dev: bigint): string {
	const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
	const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
	return `${hex(major)}:${hex(minor)}`;
}

function hex(number: bigint): string {
	return number.toString(16).padStart(2, '0');
}

/** Whether that descriptor of that process has such a flock of this file, now. */
function hasFlock(pid: number, fd: number, file: FileStatus, mode: Mode): boolean {
	const lock = /^lock:.*\bFLOCK +\S+ +(READ|WRITE) +\S+ (\S+:\S+:\d+) /m.exec(
		readProc(`/proc/${pid}/fdinfo/${fd}`) ?? '',
	);
	if (lock?.[1] !== mode) return false;
	// Where the two device numbers differ (btrfs, overlay) the descriptor itself has to be asked.
	return lock[2] === `${deviceOf(file)}:${file.ino}` || leadsTo(`/proc/${pid}/fd/${fd}`, file);
}

/** Whether a process has an exclusive flock of this file by any of its descriptors, now. */
export function hasLock(pid: number, file: FileStatus, lockPath: string): boolean {
	return confirmedIn([pid], file, lockPath, 'WRITE') !== undefined;
}

/** Where the record says, the descriptor has the lock. */
function recordedHolder(file: FileStatus, record: LockRecord | undefined): Holder | undefined {
	if (record?.fd === undefined) return undefined;
	const process = processOf(record.pid);
	if (!hasFlock(record.pid, record.fd, file, 'WRITE')) return undefined;
	return labelled(confirmed(process, sinceOf(record)), record);
}

/** Who took it, if that process still has it; else whoever has the descriptor now. */
function confirmedHolder(file: FileStatus, lockPath: string, locks: readonly Lock[], mode: Mode): Holder | undefined {
	const takers = locks.map(lock => lock.pid);
	const found = confirmedIn(takers, file, lockPath, mode) ?? confirmedIn(allProcesses(), file, lockPath, mode);
	return found === undefined ? undefined : confirmed(found);
}

/** Which of the processes has it; a flock(1) that takes it for another process only if nobody else does. */
function confirmedIn(pids: readonly number[], file: FileStatus, lockPath: string, mode: Mode): Possession | undefined {
	const name = `/${basename(lockPath)}`;
	let taker: Possession | undefined;
	for (const found of descriptorsOf(pids, target => target.endsWith(name))) {
		if (!hasFlock(found.pid, found.fd, file, mode)) continue;
		if (!takesForOthers(found.pid)) return found;
		taker = found;
	}
	return taker;
}

/** Whether it is a `flock -x 3`, which locks a descriptor of its parent and exits, or is about to be gone: what it has it only passes on. */
export function takesForOthers(pid: number): boolean {
	const command = readProc(`/proc/${pid}/cmdline`) ?? '';
	// A process on its way out has no command line any more, and its descriptors for a moment longer.
	if (command === '') return true;
	return /^([^\0]*\/)?flock\0(-[^\0]*\0)*\d+\0$/.test(command);
}

/** The holder by its own account, unless we can see that its account is out of date. */
export function claimedHolder(record: LockRecord | undefined): Holder | undefined {
	if (record === undefined) return undefined;
	const elsewhere = isElsewhere(record);
	const host = record.host === undefined || record.host === hostname() ? undefined : record.host;
	const seen = elsewhere ? undefined : describeProcess(record.pid, sinceOf(record));
	if (!elsewhere && seen === undefined && !(showsNothing() && exists(record.pid))) return undefined;
	const claim: Holder = {
		pid: record.pid,
		uid: record.uid ?? seen?.uid ?? -1,
		command: record.command ?? seen?.command ?? '',
		since: sinceOf(record),
		verifiedBy: 'claim',
		...(host === undefined ? {} : {host}),
	};
	return withRecord(claim, record);
}

/** Whether there is no /proc here, as on macOS: then nothing contradicts the record of a process that lives. */
function showsNothing(): boolean {
	return namespaceOf('pid') === 'unknown';
}

function exists(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return codeOf(error) === 'EPERM';
	}
}

/** Whether the record's pid is of another pid namespace: a container that shares the directory. */
function isElsewhere(record: LockRecord | undefined): boolean {
	return record?.pidNamespace !== undefined && record.pidNamespace !== namespaceOf('pid') && !showsNothing();
}

/** What only the record knows, if it is the record of this holder. */
export function withRecord(holder: Holder | undefined, record: LockRecord | undefined): Holder | undefined {
	if (holder === undefined || record === undefined || record.pid !== holder.pid) return holder;
	return labelled({...holder, since: sinceOf(record) ?? holder.since}, record);
}

function labelled(holder: Holder | undefined, {label}: LockRecord): Holder | undefined {
	return holder === undefined || label === undefined ? holder : {...holder, label};
}

function sinceOf(record: LockRecord): Date | undefined {
	const since = new Date(record.since ?? Number.NaN);
	return Number.isNaN(since.getTime()) ? undefined : since;
}

function contention(kind: Contention['kind'], holder: Holder | undefined): Contention {
	return holder === undefined ? {kind} : {kind, holder};
}
