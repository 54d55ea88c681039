/**
 * Who has the lock of a file, as the kernel knows it.
 */
import {existsSync} from 'node:fs';
import {hostname} from 'node:os';
import {basename} from 'node:path';
import {codeOf} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import type {LockRecord} from '../model/record.js';
import type {Contention, FileStatus} from '../model/system.js';
import {hasFlock, isOfAnother, type Lock, locksOf, type Mode} from './lock-table.js';
import {
	allProcesses,
	bootId,
	confirmed,
	describeProcess,
	descriptorsOf,
	initialPidNamespace,
	isEnding,
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
	const recorded = recordedHolder(file, lockPath, record);
	if (recorded !== undefined) return contention('exclusive', recorded);
	const locks = locksOf(file, lockPath);
	const writers = locks.filter(lock => lock.mode === 'WRITE');
	const seen = writers.length > 0 ? confirmedHolder(file, lockPath, writers, 'WRITE') : undefined;
	// A flock(1) on the descriptor of a waiter that gave up: granted the lock in its last moment, and gone in the next.
	if (seen !== undefined && takesForOthers(seen.pid)) return contention('unseen', seen);
	if (seen !== undefined) return contention('exclusive', withRecord(seen, record));
	const holder = claimedHolder(record);
	const isOurs = (lock: Lock): boolean => lock.isCertain || !isOfAnother(lock, file, lockPath);
	if (writers.some(isOurs)) return contention('exclusive', holder);
	const readers = locks.filter(lock => lock.mode === 'READ' && isOurs(lock));
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

/** Whether a process has an exclusive flock of this file by any of its descriptors, now. */
export function hasLock(pid: number, file: FileStatus, lockPath: string): boolean {
	return confirmedIn([pid], file, lockPath, 'WRITE') !== undefined;
}

/** Where the record says, the descriptor has the lock. */
function recordedHolder(file: FileStatus, lockPath: string, record: LockRecord | undefined): Holder | undefined {
	if (record?.fd === undefined) return undefined;
	const process = processOf(record.pid);
	if (!hasFlock(record.pid, record.fd, file, lockPath, 'WRITE')) return undefined;
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
		if (!hasFlock(found.pid, found.fd, file, lockPath, mode)) continue;
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
		uid: record.uid ?? seen?.uid,
		command: record.command ?? seen?.command,
		since: sinceOf(record),
		verified: false,
		...(host === undefined ? {} : {host}),
	};
	return withRecord(claim, record);
}

/**
 * Whether the process that wrote the record was one of this boot of this machine and of our pid namespace, and its pid
 * is nobody's now. A pid that is in use again counts as the same process.
 */
export function hasEnded({pid, boot, pidNamespace}: LockRecord): boolean {
	const isOurs = boot !== undefined && boot === bootId() && pidNamespace === namespaceOf('pid') && !showsNothing();
	return isOurs && (!exists(pid) || isEnding(pid));
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
