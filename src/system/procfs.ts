/**
 * What /proc tells about processes: who they are, and what they have open. Everything here is a
 * look; nothing is touched. A process that is gone, or that we may not look into, is `undefined`.
 */
import {accessSync, closeSync, constants, openSync, readdirSync, readlinkSync, readSync, statSync} from 'node:fs';
import {codeOf, type Holder} from '../errors.js';
import type {FileStatus} from '../protocol/calls.js';

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

/** The process as a holder that the kernel has confirmed. */
export function describeProcess(pid: number, since?: Date): Holder | undefined {
	const command = readProc(`/proc/${pid}/cmdline`, false, 'utf8');
	const uid = ownerOf(pid);
	if (command === undefined || uid === undefined) return undefined;
	return {
		pid,
		uid,
		command: command.replace(/\0+$/, '').replaceAll('\0', ' '),
		since: since ?? startOf(pid),
		verifiedBy: confirmation(),
	};
}

/** What /proc says of a pid confirms nothing where it means pids of another namespace, as after `unshare --pid` alone. */
export function confirmation(): Holder['verifiedBy'] {
	ownPids ??= linkOrUndefined('/proc/self') === String(process.pid);
	return ownPids ? 'kernel' : 'claim';
}

let ownPids: boolean | undefined;

/** Whether the process does not let us look what it has open, as one that has changed its user. */
export function isHidden(pid: number): boolean {
	try {
		accessSync(`/proc/${pid}/fd`, constants.R_OK);
		return false;
	} catch (error) {
		return codeOf(error) === 'EACCES';
	}
}

/**
 * Sends a signal to a process that is still the one that `holder` describes. The kernel's pids are
 * reused: so the look whether it still holds stands between two looks at when it started. What
 * remains is a pid that is reused between the last look and the signal, within microseconds.
 *
 * @returns `false` if it is gone, or does not hold any more
 * @throws EPERM
 */
export function signalProcess(holder: Holder, signal: NodeJS.Signals, stillHolds: () => boolean): boolean {
	try {
		// Whom we may not signal we may not look into either.
		process.kill(holder.pid, 0);
		const before = startTicks(holder.pid);
		if (before === undefined || !stillHolds() || startTicks(holder.pid) !== before) return false;
		process.kill(holder.pid, signal);
		return true;
	} catch (error) {
		if (codeOf(error) === 'ESRCH') return false;
		throw error;
	}
}

/** Processes that have a descriptor for which `matches(its link text)`, and that descriptor. */
export function* descriptorsOf(
	pids: Iterable<number>,
	matches: (target: string) => boolean,
): Generator<{readonly pid: number; readonly fd: number}> {
	for (const pid of pids) {
		for (const fd of namesIn(`/proc/${pid}/fd`)) {
			const target = linkOrUndefined(`/proc/${pid}/fd/${fd}`);
			if (target !== undefined && matches(target)) yield {pid, fd: Number(fd)};
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

function ownerOf(pid: number): number | undefined {
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
export function isRunning(pid: number): boolean {
	const flags = Number(statusFields(pid)?.[6] ?? exiting);
	return (flags & exiting) === 0;
}

/** `PF_EXITING` of linux/sched.h: set before the first descriptor is closed, and kept by a zombie. */
const exiting = 0x4;

/** The fields of /proc/<pid>/stat from the 3rd on: the name before them may have spaces and parentheses. */
function statusFields(pid: number): string[] | undefined {
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
	if (['EMFILE', 'ENFILE', 'ENOMEM'].includes(codeOf(error))) throw error;
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
