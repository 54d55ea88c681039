/**
 * Whether a socket is bound to a file, although connecting to it is refused.
 *
 * `connect` looks for a socket by the inode of the file, and touches the access time of the file as soon as it has found
 * one of the same type, before it looks whether that one listens (`unix_find_bsd` in net/unix/af_unix.c). So an access
 * time that a refused connect has left alone says: no stream socket of any process is bound to this inode, in whichever
 * network namespace and under whichever name. That is one step of the kernel, unlike every look at its tables.
 * Measured on ext2, ext4, xfs, btrfs, tmpfs and overlay; not so on mounts with `noatime`, nor on FUSE.
 */
import {chownSync, fstatSync} from 'node:fs';
import {pause} from './deadline.js';
import {mountOfDescriptor} from './mounts/mount-table.js';

/** Filesystems on which it was measured, or that are the same code. */
const measured: readonly string[] = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'tmpfs', 'overlay'];

/** Longer than the tick of the kernel's clock, of which times of files are taken: 10 ms at most. */
const tickMs = 20;

/**
 * Sees to it that the next access is noted. With `relatime` it is if the file has changed since the last one, so the
 * change time is set, and nothing else: by a chown to nobody, which anybody may do.
 *
 * @param descriptor opened with `O_PATH`
 * @returns the times of before; `undefined` if accesses are not noted there
 * @throws the signal's reason
 */
export async function expectAccess(descriptor: number, signal?: AbortSignal): Promise<Times | undefined> {
	try {
		const mount = mountOfDescriptor(descriptor);
		if (mount === undefined || !measured.includes(mount.type) || mount.options.includes('noatime')) return undefined;
		const times = timesOf(descriptor);
		const {atimeNs} = times;
		// Some filesystems keep whole seconds. An access within the tick of the last one leaves no trace.
		const resolutionMs = atimeNs % 1_000_000_000n === 0n ? 1000 : tickMs;
		const ageMs = Date.now() - Number(atimeNs / 1_000_000n);
		if (ageMs < 0) return undefined;
		if (ageMs < resolutionMs) await pause(resolutionMs - ageMs, signal);
		chownSync(`/proc/self/fd/${descriptor}`, unchanged, unchanged);
		return times;
	} catch {
		signal?.throwIfAborted();
		// Nothing was found out, and who asks has other ways.
		return undefined;
	}
}

/** An owner or group that stays as it is (`chown(2)`). */
const unchanged = -1;

/** Nanoseconds since the epoch. */
export interface Times {
	readonly atimeNs: bigint;
	readonly mtimeNs: bigint;
}

function timesOf(descriptor: number): Times {
	const {atimeNs, mtimeNs} = fstatSync(descriptor, {bigint: true});
	return {atimeNs, mtimeNs};
}

/**
 * @returns whether there was an access since; `undefined` if that cannot be told, because somebody has set the times:
 * who may write to the file, as its clients may, can set both of them to now, and nothing else (`utimensat(2)`)
 */
export function wasAccessed(descriptor: number, before: Times): boolean | undefined {
	const {atimeNs, mtimeNs} = timesOf(descriptor);
	if (mtimeNs !== before.mtimeNs) return undefined;
	return atimeNs !== before.atimeNs;
}
