/**
 * The mounts that may hang: a system call on a file there waits for a program (FUSE) or another machine (NFS).
 */
import {type Mount, mountsOf} from './mount-table.js';

/** Whether a filesystem of this {@link Mount.type} may hang: each type that is not known to be the kernel's own. */
export function mayHang(type: string): boolean {
	return !localTypes.has(type);
}

/** Filesystems that the kernel serves from memory or a disk. */
const localTypes = new Set(
	(
		'bcachefs btrfs erofs exfat ext2 ext3 ext4 f2fs hfs hfsplus iso9660 jfs minix msdos nilfs2 ntfs3 overlay reiserfs ' +
		'romfs rootfs squashfs ubifs udf ufs vfat xfs zfs ' +
		'binder binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs ' +
		'proc pstore ramfs resctrl rpc_pipefs securityfs selinuxfs smackfs sysfs tmpfs tracefs'
	).split(' '),
);

/**
 * Whether this mount cannot hang.
 *
 * @param devices of mounts that count as safe whatever their type
 */
export function isSafe(mount: Mount, devices: readonly string[]): boolean {
	if (devices.includes(mount.device)) return true;
	if (!mayHang(mount.type) && mount.type !== 'overlay') return true;
	const ours = mountsOf('self');
	// If our own root hangs, this process hangs anyway.
	if (ours.some(({mountPoint, device}) => mountPoint === '/' && device === mount.device)) return true;
	// In a mount namespace of their own, every user can mount an overlay with a layer that hangs.
	const isOurs = mount.type === 'overlay' && ours.some(({device}) => device === mount.device);
	return isOurs && !layersOf(mount).some(layer => mayHang(mountOfText(layer, ours)?.type ?? mount.type));
}

/** Returns the directories of an overlay, as they were given to mount(2). */
export function layersOf({superOptions}: Mount): string[] {
	const layer = /^(?:lowerdir\+?|datadir\+?|upperdir)=(.*)$/s;
	return superOptions.flatMap(option => layer.exec(option)?.[1]?.split(':') ?? []).filter(path => path !== '');
}

/** Returns the mount of a path by its text alone: with the longest matching mount point, and the last of several. */
export function mountOfText(path: string, mounts: readonly Mount[]): Mount | undefined {
	let found: Mount | undefined;
	for (const mount of mounts) {
		const {mountPoint} = mount;
		const isAbove = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
		if (isAbove && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = mount;
	}
	return found;
}
