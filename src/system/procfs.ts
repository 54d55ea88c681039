/**
 * What /proc tells about processes: who they are, and what they have open. Everything here is a
 * look; nothing is touched. A process that is gone, or that we may not look into, is `undefined`.
 */
import {closeSync, openSync, readdirSync, readlinkSync, readSync, statSync} from 'node:fs';
import type {Holder} from '../errors.js';

/**
 * A file of /proc as Latin-1, one character a byte.
 *
 * @param whole read to the end; else one read, which is all of a file about one process
 */
export function readProc(path: string, whole = false): string | undefined {
	let descriptor: number | undefined;
	try {
		descriptor = openSync(path, 'r');
		let text = '';
		for (;;) {
			const length = readSync(descriptor, buffer, 0, buffer.length, null);
			text += buffer.toString('latin1', 0, length);
			if (length === 0 || !whole) return text;
		}
	} catch {
		return undefined;
	} finally {
		if (descriptor !== undefined) closeSync(descriptor);
	}
}

/** Larger than a page, so that short files take one read and the end. */
const buffer = Buffer.allocUnsafeSlow(65_536);

/** The process as a holder that the kernel has confirmed. */
export function describeProcess(pid: number, since?: Date): Holder | undefined {
	const command = readProc(`/proc/${pid}/cmdline`);
	const uid = ownerOf(pid);
	if (command === undefined || uid === undefined) return undefined;
	return {
		pid,
		uid,
		command: Buffer.from(command.replace(/\0+$/, '').replaceAll('\0', ' '), 'latin1').toString('utf8'),
		since: since ?? startOf(pid),
		verifiedBy: 'kernel',
	};
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

export function statOrUndefined(path: string): {readonly dev: bigint; readonly ino: bigint} | undefined {
	try {
		const {dev, ino} = statSync(path, {bigint: true});
		return {dev, ino};
	} catch {
		return undefined;
	}
}

function ownerOf(pid: number): number | undefined {
	try {
		return statSync(`/proc/${pid}`).uid;
	} catch {
		return undefined;
	}
}

/**
 * When a process started, from its 22nd field in /proc/<pid>/stat: clock ticks after boot, of
 * which Linux shows 100 a second to programs whatever its own clock (`proc_pid_stat(5)`).
 */
function startOf(pid: number): Date | undefined {
	const ticks = Number(
		readProc(`/proc/${pid}/stat`)
			?.replace(/^.*\) /s, '')
			.split(' ')[19],
	);
	const boot = Number(/^btime (\d+)$/m.exec(readProc('/proc/stat', true) ?? '')?.[1]);
	return Number.isFinite(ticks) && Number.isFinite(boot) ? new Date(boot * 1000 + ticks * 10) : undefined;
}

function namesIn(directory: string): string[] {
	try {
		return readdirSync(directory);
	} catch {
		return [];
	}
}

function linkOrUndefined(path: string): string | undefined {
	try {
		return readlinkSync(path);
	} catch {
		return undefined;
	}
}

function isNumber(name: string): boolean {
	return /^\d+$/.test(name);
}
