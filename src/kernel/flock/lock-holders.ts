/**
 * The process that has the lock of a file, as the kernel shows it.
 */
import {existsSync} from 'node:fs';
import {hostname} from 'node:os';
import {basename} from 'node:path';
import {codeOf} from '../../model/errors.js';
import type {Holder} from '../../model/holder.js';
import type {LockRecord} from '../../model/record.js';
import type {Contention, FileStatus} from '../../model/system.js';
import {atOnce, type Interruptible} from '../interruptible.js';
import {bootId, initialPidNamespace, namespaceOf} from '../proc/namespaces.js';
import {descriptorsOf, type ProcessDescriptor} from '../proc/process-descriptors.js';
import {allProcesses, confirmed, describeProcess, isEnding, processOf, searchMs} from '../proc/processes.js';
import {readProc} from '../proc/procfs.js';
import {hasFlock, isOfAnotherFile, type ListedLock, type LockMode, listedLocks} from './proc-locks.js';

/**
 * Finds the process that keeps us from the lock.
 *
 * Checks the descriptor that the record names first, so that the cost does not grow with the locks and processes of the
 * machine. Reads /proc/locks only for other holders, and scans all processes only for holders that are not in there.
 */
export function* lockContention(
	file: FileStatus,
	lockPath: string,
	record: LockRecord | undefined,
): Interruptible<Contention> {
	const recorded = recordedHolder(file, lockPath, record);
	if (recorded !== undefined) return {kind: 'exclusive', holder: recorded};
	const locks = yield* listedLocks(file, lockPath);
	const writers = locks.filter(isWriter);
	const seen = writers.length > 0 ? yield* confirmedHolder(file, lockPath, writers, 'WRITE') : undefined;
	// A flock(1) on the descriptor of a waiter that gave up: it was granted the lock, and is about to exit.
	if (seen !== undefined && takesForOthers(seen.pid)) return {kind: 'unseen', holder: seen};
	if (seen !== undefined) return {kind: 'exclusive', holder: withRecord(seen, record)};
	const holder = claimedHolder(record);
	const ours = function* (rows: readonly ListedLock[]): Interruptible<ListedLock[]> {
		const found: ListedLock[] = [];
		for (const lock of rows) {
			if (lock.isCertain || !(yield* isOfAnotherFile(lock, file, lockPath))) found.push(lock);
		}
		return found;
	};
	// Whoever was listed and is not found may have exited since, such as a flock(1) that takes the lock for another process.
	const remaining = writers.length > 0 ? (yield* listedLocks(file, lockPath)).filter(isWriter) : [];
	if ((yield* ours(remaining)).length > 0) return {kind: 'exclusive', holder};
	const readers = yield* ours(locks.filter(lock => lock.mode === 'READ'));
	if (readers.length > 0) return {kind: 'shared', holder: yield* confirmedHolder(file, lockPath, readers, 'READ')};
	const hidden = seesAllLocks() ? undefined : yield* findLock(allProcesses(), file, lockPath, 'WRITE');
	if (hidden !== undefined && !takesForOthers(hidden.pid)) {
		return {kind: 'exclusive', holder: withRecord(confirmed(hidden), record)};
	}
	const elsewhere = isWithoutProc()
		? holder !== undefined
		: isElsewhere(record) && (locks.length > 0 || !seesAllLocks());
	return {kind: 'unseen', holder, elsewhere};
}

function isWriter({mode}: ListedLock): boolean {
	return mode === 'WRITE';
}

/** Whether a process has an exclusive flock of the file by any of its descriptors, now. */
export function hasLock(pid: number, file: FileStatus, lockPath: string): boolean {
	return atOnce(findLock([pid], file, lockPath, 'WRITE')) !== undefined;
}

/** Returns the holder if the descriptor that the record names has the lock. */
function recordedHolder(file: FileStatus, lockPath: string, record: LockRecord | undefined): Holder | undefined {
	if (record?.fd === undefined) return undefined;
	const process = processOf(record.pid);
	if (!hasFlock(record.pid, record.fd, file, lockPath, 'WRITE')) return undefined;
	return withRecord(confirmed(process, sinceOf(record)), record);
}

/** Returns the process that took the lock, if it still has it; else any process that has it now. */
function* confirmedHolder(
	file: FileStatus,
	lockPath: string,
	locks: readonly ListedLock[],
	mode: LockMode,
): Interruptible<Holder | undefined> {
	const takers = locks.map(lock => lock.pid);
	const found =
		(yield* findLock(takers, file, lockPath, mode)) ??
		(yield* findLock(allProcesses(), file, lockPath, mode, performance.now() + searchMs));
	return found && confirmed(found);
}

/**
 * Returns the descriptor that has the lock; of a flock(1) that takes it for another process only as the last choice. A
 * parent with a lower pid comes before the children that inherited the lock.
 */
function* findLock(
	pids: Iterable<number>,
	file: FileStatus,
	lockPath: string,
	mode: LockMode,
	deadline: number = Number.POSITIVE_INFINITY,
): Interruptible<ProcessDescriptor | undefined> {
	const name = `/${basename(lockPath)}`;
	let taker: ProcessDescriptor | undefined;
	for (const pid of pids) {
		yield;
		for (const found of descriptorsOf([pid], target => target.endsWith(name))) {
			if (!hasFlock(found.pid, found.fd, file, lockPath, mode)) continue;
			if (!takesForOthers(found.pid)) return found;
			taker = found;
		}
		if (performance.now() > deadline) break;
	}
	return taker;
}

/** Whether the process is exiting, or is a `flock -x 3`, which locks a descriptor of its parent and then exits. */
function takesForOthers(pid: number): boolean {
	const command = readProc(`/proc/${pid}/cmdline`) ?? '';
	// An exiting process loses its command line first and its descriptors a moment later.
	if (command === '') return true;
	return /^([^\0]*\/)?flock\0(-[^\0]*\0)*\d+\0$/.test(command);
}

/**
 * Whether /proc/locks shows every flock of this machine. In a pid namespace it hides locks whose takers are in another
 * namespace or have exited, such as a flock(1) that has left the lock to its shell (`locks_translate_pid` in
 * fs/locks.c).
 */
function seesAllLocks(): boolean {
	return namespaceOf('pid') === initialPidNamespace && existsSync('/proc/locks');
}

/** Returns the holder according to the record, unless the record is known to be out of date. */
export function claimedHolder(record: LockRecord | undefined): Holder | undefined {
	if (record === undefined) return undefined;
	const elsewhere = isElsewhere(record);
	const host = record.host === undefined || record.host === hostname() ? undefined : record.host;
	const seen = elsewhere ? undefined : describeProcess(record.pid, sinceOf(record));
	if (!elsewhere && seen === undefined && !(isWithoutProc() && exists(record.pid))) return undefined;
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

/** Adds what only the record has, if it is the record of this holder. */
export function withRecord(holder: Holder | undefined, record: LockRecord | undefined): Holder | undefined {
	if (holder === undefined || record === undefined || record.pid !== holder.pid) return holder;
	const {label} = record;
	return {...holder, since: sinceOf(record) ?? holder.since, ...(label === undefined ? {} : {label})};
}

function sinceOf(record: LockRecord): Date | undefined {
	const since = new Date(record.since ?? Number.NaN);
	return Number.isNaN(since.getTime()) ? undefined : since;
}

/**
 * Whether the process that wrote the record was of this boot and pid namespace, and has ended. A process that has reused
 * its pid counts as the same process.
 */
export function hasEnded({pid, boot, pidNamespace}: LockRecord): boolean {
	const isOurs = boot !== undefined && boot === bootId() && pidNamespace === namespaceOf('pid') && !isWithoutProc();
	return isOurs && (!exists(pid) || isEnding(pid));
}

/** Whether the pid in the record is of another pid namespace, such as a container that shares the directory. */
function isElsewhere(record: LockRecord | undefined): boolean {
	return record?.pidNamespace !== undefined && record.pidNamespace !== namespaceOf('pid') && !isWithoutProc();
}

/** Whether there is no /proc, as on macOS. Then nothing contradicts the record of a process that exists. */
function isWithoutProc(): boolean {
	return namespaceOf('pid') === 'unknown';
}

function exists(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		// EPERM: a process of another user. Deno may deny the call as well.
		return codeOf(error) !== 'ESRCH';
	}
}
