/**
 * What /proc tells about processes: who they are, and what they have open. Everything here is a
 * look; nothing is touched. A process that is gone, or that we may not look into, is `undefined`.
 */
import {closeSync, openSync, readdirSync, readlinkSync, readSync, statSync} from 'node:fs';
import {programAndScript} from '../model/command-line.js';
import {codeOf} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import type {FileStatus} from '../model/system.js';

/**
 * A file of /proc as Latin-1, one character a byte.
 *
 * @param whole read to the end; else one read, which is all of a file about one process
 */
export function readProc(path: string, whole = false, encoding: 'latin1' | 'utf8' = 'latin1'): string | undefined {
	let descriptor: number | undefined;
	try {
		descriptor = openSync(path, 'r');
		let text = '';
		for (;;) {
			const length = readSync(descriptor, buffer, 0, buffer.length, null);
			text += buffer.toString(encoding, 0, length);
			if (length === 0 || !whole) return text;
		}
	} catch (error) {
		throwTrouble(error);
		return undefined;
	} finally {
		if (descriptor !== undefined) closeSync(descriptor);
	}
}

/** Larger than a page, so that short files take one read and the end. */
const buffer = Buffer.allocUnsafeSlow(65_536);

/** To open it is a reference to a file that opens nothing. Linux only, and not named by Node. */
export const oPath: number | undefined = process.platform === 'linux' ? 0o10000000 : undefined;

/** A process, by when it started: its pid is another's when it is gone. */
export interface Process {
	readonly pid: number;
	readonly start: string | undefined;
}

/**
 * The process as a holder that the kernel has confirmed.
 *
 * @param found with its start read before what it has was looked at
 * @returns `undefined` if its pid is another's by now
 */
export function confirmed({pid, start}: Process, since?: Date): Holder | undefined {
	const holder = describeProcess(pid, since);
	if (holder === undefined || start === undefined || startTicks(pid) !== start) return undefined;
	return {...holder, verified: arePidsOurs()};
}

/** The process as it is, which confirms nothing about what it has. */
export function describeProcess(pid: number, since?: Date): Holder | undefined {
	const command = readProc(`/proc/${pid}/cmdline`, false, 'utf8');
	const uid = uidOf(pid);
	if (command === undefined || uid === undefined) return undefined;
	return {
		pid,
		uid,
		command: programAndScript(command.replace(/\0+$/, '').split('\0')),
		since: since ?? startOf(pid),
		verified: false,
	};
}

/** Whether /proc shows the pids of this process's namespace. It shows those of another one after `unshare --pid` alone. */
function arePidsOurs(): boolean {
	ownPids ??= linkOrUndefined('/proc/self') === String(process.pid);
	return ownPids;
}

let ownPids: boolean | undefined;

/**
 * Sends a signal to a process that holds, now. The kernel's pids are reused: so the look whether it
 * holds stands between two looks at when it started. What remains is a pid that is reused between the
 * last look and the signal, within microseconds: only a pidfd would exclude that, and Node has no
 * `pidfd_send_signal(2)`.
 *
 * @param asked which process it has to be, if another with that pid is not meant
 * @returns which process got it; `undefined` if it is gone, or does not hold
 * @throws EPERM
 */
export function signalProcess(
	pid: number,
	signal: NodeJS.Signals,
	holds: () => boolean,
	asked?: Process,
): Process | undefined {
	try {
		// Whom we may not signal we may not look into either.
		process.kill(pid, 0);
		const found = processOf(pid);
		if (found.start === undefined || (asked?.pid === pid && asked.start !== found.start)) return undefined;
		if (!holds() || startTicks(pid) !== found.start) return undefined;
		process.kill(pid, signal);
		return found;
	} catch (error) {
		if (codeOf(error) === 'ESRCH') return undefined;
		throw error;
	}
}

export function processOf(pid: number): Process {
	return {pid, start: startTicks(pid)};
}

/** A descriptor that a process has, which is looked at after the start of that. */
export interface Possession extends Process {
	readonly fd: number;
}

/** Processes that have a descriptor for which `matches(its link text)`, and that descriptor. */
export function* descriptorsOf(pids: Iterable<number>, matches: (target: string) => boolean): Generator<Possession> {
	for (const pid of pids) {
		for (const fd of namesIn(`/proc/${pid}/fd`)) {
			const link = `/proc/${pid}/fd/${fd}`;
			const target = linkOrUndefined(link);
			if (target === undefined || !matches(target)) continue;
			const found = {...processOf(pid), fd: Number(fd)};
			// Between the first look and the start another process may have got the pid.
			if (linkOrUndefined(link) === target) yield found;
		}
	}
}

/** Every process of this pid namespace that we may see. */
export function allProcesses(): number[] {
	return namesIn('/proc').filter(isNumber).map(Number);
}

/** Whether the path leads to this very file. */
export function leadsTo(path: string, file: Pick<FileStatus, 'dev' | 'ino'>): boolean {
	try {
		const {dev, ino} = statSync(path, {bigint: true});
		return ino === BigInt(file.ino) && dev === BigInt(file.dev);
	} catch {
		return false;
	}
}

/** The effective user id of a process. */
export function uidOf(pid: number): number | undefined {
	try {
		return statSync(`/proc/${pid}`).uid;
	} catch {
		return undefined;
	}
}

/** When a process started. */
function startOf(pid: number): Date | undefined {
	const ticks = Number(startTicks(pid));
	const boot = Number(/^btime (\d+)$/m.exec(readProc('/proc/stat', true) ?? '')?.[1]);
	return Number.isFinite(ticks) && Number.isFinite(boot) ? new Date(boot * 1000 + ticks * 10) : undefined;
}

/**
 * The 22nd field of /proc/<pid>/stat: clock ticks from boot to the process's start, of which Linux
 * shows 100 a second to programs whatever its own clock (`proc_pid_stat(5)`).
 */
function startTicks(pid: number): string | undefined {
	return statusFields(pid)?.[19];
}

/**
 * Whether the process is there, and not on its way out: then it has no descriptors any more, which
 * it did not close itself.
 */
export function isRunning(pid: number | string): boolean {
	const flags = Number(statusFields(pid)?.[6] ?? exiting);
	return (flags & exiting) === 0;
}

/** Whether all threads of the process are on their way out, or it is a zombie that nobody has waited for. */
export function isEnding(pid: number): boolean {
	const tasks = namesIn(`/proc/${pid}/task`);
	return tasks.length > 0 && tasks.every(task => !isRunning(`${pid}/task/${task}`));
}

/** `PF_EXITING` of linux/sched.h: set before the first descriptor is closed, and kept by a zombie. */
const exiting = 0x4;

/** The fields of /proc/<pid>/stat from the 3rd on: the name before them may have spaces and parentheses. */
function statusFields(pid: number | string): string[] | undefined {
	return readProc(`/proc/${pid}/stat`)
		?.replace(/^.*\) /s, '')
		.split(' ');
}

/** How many more descriptors this process may have open; 0 where that cannot be told. */
export function freeDescriptors(): number {
	const limit = descriptorLimit();
	// One that was opened under a higher limit takes no place; the one that reads the directory is free again.
	const open = namesIn('/proc/self/fd').filter(name => Number(name) < limit).length - 1;
	return limit === 0 ? 0 : Math.max(0, limit - open);
}

/** How many descriptors this process may have open; 0 where that cannot be told. */
export function descriptorLimit(): number {
	return Number(/^Max open files +(\d+)/m.exec(readProc('/proc/self/limits') ?? '')?.[1] ?? 0);
}

/** `net:[4026531840]`, or `'unknown'` without /proc. */
export function namespaceOf(kind: 'net' | 'pid'): string {
	return linkOrUndefined(`/proc/self/ns/${kind}`) ?? 'unknown';
}

/** Of this boot of this machine, `undefined` without /proc (`proc_sys_kernel(5)`). */
export function bootId(): string | undefined {
	return readProc('/proc/sys/kernel/random/boot_id')?.trim();
}

/** What `namespaceOf('pid')` is outside of containers: `PROC_PID_INIT_INO` of linux/proc_ns.h. */
export const initialPidNamespace = 'pid:[4026531836]';

export function namesIn(directory: string): string[] {
	try {
		return readdirSync(directory);
	} catch (error) {
		throwTrouble(error);
		return [];
	}
}

/** That we cannot look says nothing about who is there: a probe that has no descriptor left must not find nobody (R8). */
function throwTrouble(error: unknown): void {
	if (isTrouble(error)) throw error;
}

export function isTrouble(error: unknown): boolean {
	return ['EMFILE', 'ENFILE', 'ENOMEM'].includes(codeOf(error));
}

export function linkOrUndefined(path: string): string | undefined {
	try {
		return readlinkSync(path);
	} catch {
		return undefined;
	}
}

function isNumber(name: string): boolean {
	return /^\d+$/.test(name);
}
