/**
 * The flocks of a file, as the kernel lists them: in /proc/locks for all files, in /proc/<pid>/fdinfo for a descriptor.
 */
import {isSameFile} from '../../model/file-identity.js';
import type {FileStatus} from '../../model/system.js';
import type {Interruptible} from '../interruptible.js';
import {mountOfFile} from '../mounts/mount-table.js';
import {statReachable} from '../mounts/reachable.js';
import {descriptorsOf, type ProcessDescriptor} from '../proc/process-descriptors.js';
import {allProcesses} from '../proc/processes.js';
import {readProc, readTable} from '../proc/procfs.js';

/** The kernel's names for exclusive and shared. */
export type LockMode = 'WRITE' | 'READ';

/** A row of /proc/locks. */
export interface ListedLock {
	readonly mode: LockMode;
	/**
	 * The process that took the lock, which need not have it: a flock(1) exits and leaves the lock to its shell, and the
	 * pid may have been reused.
	 */
	readonly pid: number;
	/** `major:minor:inode` */
	readonly file: string;
	/** `false`: the lock may be of another file with the same inode number. */
	readonly isCertain: boolean;
}

/**
 * Returns the flocks of a file in /proc/locks, with those that may be of the file. /proc/locks hides the locks of other
 * pid namespaces.
 */
export function* listedLocks(file: FileStatus, lockPath: string): Interruptible<ListedLock[]> {
	const found: ListedLock[] = [];
	const ownDevice = deviceInLocks(file);
	const pattern = new RegExp(`^\\d+: FLOCK +\\S+ +(READ|WRITE) +(-?\\d+) ([\\da-f]+:[\\da-f]+):${file.ino} `, 'gm');
	for (const [, mode, pid, device = ''] of ((yield* readTable('/proc/locks')) ?? '').matchAll(pattern)) {
		const isCertain = device === ownDevice;
		if (!isCertain && !mayBeDeviceOf(device, file, lockPath)) continue;
		found.push({mode: mode as LockMode, pid: Number(pid), file: `${device}:${file.ino}`, isCertain});
	}
	return found;
}

/**
 * Whether a device in /proc/locks may be the device of the file although stat(2) gives another one. On btrfs /proc/locks
 * and the mount table have the device of the whole filesystem, stat(2) has the device of a subvolume, and inode numbers
 * are unique in a subvolume only.
 */
function mayBeDeviceOf(device: string, file: FileStatus, lockPath: string): boolean {
	if (!deviceInLocks(file).startsWith(anonymous)) return false;
	const numbers = mountOfFile(lockPath)?.device.split(':').map(BigInt);
	return numbers === undefined || inLocks(numbers) === device;
}

/** The major number of filesystems without a device of their own. On others the two numbers are equal. */
const anonymous = '00:';

/** Whether the process that took the lock, or another process with a lock file, is seen to have it on another file. */
export function* isOfAnotherFile(lock: ListedLock, file: FileStatus, lockPath: string): Interruptible<boolean> {
	const isOther = ({pid, fd}: ProcessDescriptor): boolean =>
		flockOf(pid, fd)?.file === lock.file && isDescriptorOf(pid, fd, file, lockPath) === false;
	for (const found of descriptorsOf([lock.pid], () => true)) if (isOther(found)) return true;
	for (const pid of allProcesses()) {
		yield;
		for (const found of descriptorsOf([pid], target => target.endsWith('.lock'))) if (isOther(found)) return true;
	}
	return false;
}

/** Whether this descriptor of the process has a flock of the file, now. */
export function hasFlock(pid: number, fd: number, file: FileStatus, lockPath: string, mode: LockMode): boolean {
	const lock = flockOf(pid, fd);
	if (lock?.mode !== mode) return false;
	// Where the two device numbers differ (btrfs, overlay) the descriptor itself decides.
	return lock.file === `${deviceInLocks(file)}:${file.ino}` || isDescriptorOf(pid, fd, file, lockPath) === true;
}

function flockOf(pid: number, fd: number): {readonly mode: string; readonly file: string} | undefined {
	const [, mode, file] =
		/^lock:.*\bFLOCK +\S+ +(READ|WRITE) +\S+ (\S+:\S+:\d+) /m.exec(readProc(`/proc/${pid}/fdinfo/${fd}`) ?? '') ?? [];
	return mode === undefined || file === undefined ? undefined : {mode, file};
}

/** Whether the descriptor refers to the file; `undefined` if that cannot be read, or its filesystem may hang. */
function isDescriptorOf(pid: number, fd: number, file: FileStatus, lockPath: string): boolean | undefined {
	const device = mountOfFile(lockPath)?.device;
	const found = statReachable(pid, `/proc/self/fd/${fd}`, device === undefined ? {} : {devices: [device]});
	return found && isSameFile(found, file);
}

/** Returns the device number of stat(2) as /proc/locks prints it (`makedev(3)`). */
function deviceInLocks({dev}: FileStatus): string {
	const number = BigInt(dev);
	const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
	const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn);
	return inLocks([major, minor]);
}

function inLocks(numbers: readonly bigint[]): string {
	return numbers.map(number => number.toString(16).padStart(2, '0')).join(':');
}
