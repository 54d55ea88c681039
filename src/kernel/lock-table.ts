/**
 * The flocks of a file, as the kernel lists them: in /proc/locks for all files, in /proc/<pid>/fdinfo for a descriptor.
 */
import type {FileStatus} from '../model/system.js';
import {type Mount, mountOrUndefined} from './mounts/mount-table.js';
import {statReachable} from './mounts/path-walk.js';
import {allProcesses, descriptorsOf, type Possession, readProc} from './procfs.js';

/** As the kernel calls exclusive and shared. */
export type Mode = 'WRITE' | 'READ';

export interface Lock {
	readonly mode: Mode;
	/**
	 * Who took it, which says nothing about who has it: a flock(1) exits and leaves the lock to its shell, and the pid
	 * may be another process's by now.
	 */
	readonly pid: number;
	/** `major:minor:inode` */
	readonly file: string;
	/** Whether it is surely of the file, and not perhaps of another. */
	readonly isCertain: boolean;
}

/** The flocks of a file in /proc/locks, which hides those of other pid namespaces; with those that may be of the file. */
export function locksOf(file: FileStatus, lockPath: string): Lock[] {
	const found: Lock[] = [];
	const pattern = new RegExp(`^\\d+: FLOCK +\\S+ +(READ|WRITE) +(-?\\d+) ([\\da-f]+:[\\da-f]+):${file.ino} `, 'gm');
	for (const [, mode, pid, device = ''] of (readProc('/proc/locks', true) ?? '').matchAll(pattern)) {
		const isCertain = device === deviceOf(file);
		if (!isCertain && !mayBeOn(device, file, lockPath)) continue;
		found.push({mode: mode as Mode, pid: Number(pid), file: `${device}:${file.ino}`, isCertain});
	}
	return found;
}

/**
 * Whether that device of /proc/locks may be the file's, although stat gives another one: on btrfs /proc/locks has that
 * of the whole filesystem, as mounts have, and stat that of a subvolume. Inode numbers are those of a subvolume.
 */
function mayBeOn(device: string, file: FileStatus, lockPath: string): boolean {
	if (!deviceOf(file).startsWith(anonymous)) return false;
	const mount = mountDevice(lockPath);
	return mount === undefined || mount === device;
}

/** The major number of filesystems that have no device of their own; on others there is one number only. */
const anonymous = '00:';

/** Whether its taker, or where that was a flock(1) a process with a lock file, is seen to have the lock of another file. */
export function isOfAnother(lock: Lock, file: FileStatus, lockPath: string): boolean {
	const isOther = ({pid, fd}: Possession): boolean => {
		return flockOf(pid, fd)?.file === lock.file && isFile(pid, fd, file, lockPath) === false;
	};
	for (const found of descriptorsOf([lock.pid], () => true)) if (isOther(found)) return true;
	for (const found of descriptorsOf(allProcesses(), target => target.endsWith('.lock')))
		if (isOther(found)) return true;
	return false;
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
	return asInLocks(major, minor);
}

function asInLocks(...numbers: readonly bigint[]): string {
	return numbers.map(number => number.toString(16).padStart(2, '0')).join(':');
}

/** As /proc/locks prints {@link Mount.device} of the file at that path; `undefined` if that cannot be told. */
function mountDevice(path: string): string | undefined {
	const numbers = mountOrUndefined(path)?.device.split(':').map(BigInt);
	return numbers && asInLocks(...numbers);
}

/** Whether that descriptor of that process has such a flock of this file, now. */
export function hasFlock(pid: number, fd: number, file: FileStatus, lockPath: string, mode: Mode): boolean {
	const lock = flockOf(pid, fd);
	if (lock?.mode !== mode) return false;
	// Where the two device numbers differ (btrfs, overlay) the descriptor itself has to be asked.
	return lock.file === `${deviceOf(file)}:${file.ino}` || isFile(pid, fd, file, lockPath) === true;
}

function flockOf(pid: number, fd: number): {readonly mode: string; readonly file: string} | undefined {
	const [, mode, file] =
		/^lock:.*\bFLOCK +\S+ +(READ|WRITE) +\S+ (\S+:\S+:\d+) /m.exec(readProc(`/proc/${pid}/fdinfo/${fd}`) ?? '') ?? [];
	return mode === undefined || file === undefined ? undefined : {mode, file};
}

/** Whether that descriptor of that process is of this file; `undefined` if it cannot be asked, or its filesystem may hang. */
function isFile(pid: number, fd: number, file: FileStatus, lockPath: string): boolean | undefined {
	const device = mountOrUndefined(lockPath)?.device;
	const found = statReachable(pid, `/proc/self/fd/${fd}`, device === undefined ? {} : {devices: [device]});
	return found && found.ino === BigInt(file.ino) && found.dev === BigInt(file.dev);
}
