/**
 * The identity and state of processes, as /proc shows them, and signals to them.
 *
 * The kernel reuses pids. So a process is identified by its pid and its start time, and every fact about it is read
 * between two reads of the start time.
 */
import {statSync} from 'node:fs';
import {attempt} from '../../model/attempt.js';
import {programAndScript} from '../../model/command-line.js';
import {codeOf} from '../../model/errors.js';
import type {Holder} from '../../model/holder.js';
import {linkOrUndefined, namesIn, readProc, readProcTable} from './procfs.js';

export interface ProcessIdentity {
	readonly pid: number;
	/** Clock ticks from boot to its start; `undefined` if the process is gone. */
	readonly start: string | undefined;
}

export function processOf(pid: number): ProcessIdentity {
	return {pid, start: startTicks(pid)};
}

/**
 * Returns the process as a holder that the kernel has confirmed.
 *
 * @param process identified before its lock or socket was looked at
 * @returns `undefined` if the process has ended since
 */
export function confirmed({pid, start}: ProcessIdentity, since?: Date): Holder | undefined {
	const holder = describeProcess(pid, since);
	if (holder === undefined || start === undefined || startTicks(pid) !== start) return undefined;
	return {...holder, verified: arePidsOurs()};
}

/** Returns what /proc shows of the process, which confirms nothing about its locks and sockets. */
export function describeProcess(pid: number, since?: Date): Holder | undefined {
	const command = readProc(`/proc/${pid}/cmdline`, 'utf8');
	const uid = uidOf(pid);
	if (command === undefined || uid === undefined) return undefined;
	return {
		pid,
		uid,
		command: programAndScript(command.replace(/\0+$/, '').split('\0')),
		since: since ?? startTimeOf(pid),
		verified: false,
	};
}

/**
 * Sends a signal to a process that has a lock.
 *
 * Whether it has the lock is checked between two reads of its start time. The pid can still be reused in the
 * microseconds between the last read and kill(2): only `pidfd_send_signal(2)` would prevent that, and Node does not
 * offer it.
 *
 * @param previous the process that got the last signal: if it had this pid, no other process with this pid is meant
 * @returns the process that got the signal; `undefined` if it has ended, or does not have the lock
 * @throws EPERM
 */
export function signalProcess(
	pid: number,
	signal: NodeJS.Signals,
	hasLock: () => boolean,
	previous?: ProcessIdentity,
): ProcessIdentity | undefined {
	try {
		// A process that we may not signal does not show its descriptors either: EPERM says more than "has no lock".
		process.kill(pid, 0);
		const found = processOf(pid);
		if (found.start === undefined || (previous?.pid === pid && previous.start !== found.start)) return undefined;
		if (!hasLock() || startTicks(pid) !== found.start) return undefined;
		process.kill(pid, signal);
		return found;
	} catch (error) {
		if (codeOf(error) === 'ESRCH') return undefined;
		throw error;
	}
}

/**
 * How long the process that has a socket or a lock is searched for, in milliseconds. A refusal is right without a name,
 * and on a machine with thousands of processes the search takes longer than its reader wants to wait.
 */
export const searchMs = 250;

/** Returns every process of this pid namespace that this user can see. */
export function allProcesses(): number[] {
	return namesIn('/proc')
		.filter(name => /^\d+$/.test(name))
		.map(Number);
}

/**
 * Returns every process, the likely ones first: one that is claimed to be meant, and the children of this process. The
 * others come in the order of their pids, so that a parent comes before its children, which inherit its descriptors.
 */
export function* likelyProcesses(claimed?: number): Generator<number> {
	const first = [...(claimed === undefined ? [] : [claimed]), ...ownChildren()];
	yield* first;
	for (const pid of allProcesses()) if (!first.includes(pid)) yield pid;
}

/** Empty if the kernel does not list them (`CONFIG_PROC_CHILDREN`). */
function ownChildren(): number[] {
	return (readProc(`/proc/self/task/${process.pid}/children`) ?? '').split(' ').filter(Boolean).map(Number);
}

/** Returns the effective user id of a process. */
export function uidOf(pid: number): number | undefined {
	return attempt(() => statSync(`/proc/${pid}`).uid);
}

/** Whether the process exists and is not exiting. An exiting process loses its descriptors without closing them. */
export function isRunning(pid: number): boolean {
	return isTaskRunning(`${pid}`);
}

/** Whether all threads of the process are exiting, or it is a zombie. */
export function isEnding(pid: number): boolean {
	const tasks = namesIn(`/proc/${pid}/task`);
	return tasks.length > 0 && !tasks.some(task => isTaskRunning(`${pid}/task/${task}`));
}

function isTaskRunning(task: string): boolean {
	const flags = Number(statFields(task)?.[6] ?? exiting);
	return (flags & exiting) === 0;
}

/** `PF_EXITING` of linux/sched.h: set before the first descriptor is closed, and kept by a zombie. */
const exiting = 0x4;

/** Whether /proc shows the pids of our own pid namespace. After `unshare --pid` alone it shows those of the parent. */
function arePidsOurs(): boolean {
	return linkOrUndefined('/proc/self') === String(process.pid);
}

function startTimeOf(pid: number): Date | undefined {
	const ticks = Number(startTicks(pid));
	const bootSeconds = Number(/^btime (\d+)$/m.exec(readProcTable('/proc/stat') ?? '')?.[1]);
	if (!Number.isFinite(ticks) || !Number.isFinite(bootSeconds)) return undefined;
	return new Date(bootSeconds * 1000 + ticks * 10);
}

/** Returns field 22 of /proc/<pid>/stat. Linux shows programs 100 ticks a second, on every machine (`proc_pid_stat(5)`). */
function startTicks(pid: number): string | undefined {
	return statFields(`${pid}`)?.[19];
}

/** Returns the fields of /proc/<pid>/stat from the third on. The second, the name, may contain spaces and parentheses. */
export function statFields(task: string): string[] | undefined {
	return readProc(`/proc/${task}/stat`)
		?.replace(/^.*\) /s, '')
		.split(' ');
}
