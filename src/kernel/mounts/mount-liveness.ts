/**
 * Which mounts may hang: whoever asks for a file there waits for a program, or for another machine.
 */
import {type Mount, mountsOf} from './mount-table.js';

/** Whether filesystems of that type, as {@link Mount.type}, may hang: each that is not known to be the kernel's own. */
export function mayHang(type: string): boolean {
	return !answering.has(type);
}

/** What the kernel answers by itself, from memory or a disk. */
const answering = new Set(
	(
		'bcachefs btrfs erofs exfat ext2 ext3 ext4 f2fs hfs hfsplus iso9660 jfs minix msdos nilfs2 ntfs3 overlay reiserfs ' +
		'romfs rootfs squashfs ubifs udf ufs vfat xfs zfs ' +
		'binder binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs ' +
		'proc pstore ramfs resctrl rpc_pipefs securityfs selinuxfs smackfs sysfs tmpfs tracefs'
	).split(' '),
);

/**
 * Whether this very mount answers.
 *
 * @param devices of mounts that are safe whatever their type
 */
export function answers(mount: Mount, devices: readonly string[]): boolean {
	if (devices.includes(mount.device)) return true;
	if (!mayHang(mount.type) && mount.type !== 'overlay') return true;
	const ours = mountsOf('self');
	// If that does not answer, nothing of us does.
	if (ours.some(({mountPoint, device}) => mountPoint === '/' && device === mount.device)) return true;
	// In a namespace of his own anybody may mount an overlay, with a layer that hangs.
	const isOurs = mount.type === 'overlay' && ours.some(({device}) => device === mount.device);
	return isOurs && !layersOf(mount).some(layer => mayHang(mountOfText(layer, ours)?.type ?? mount.type));
}

/** The directories of an overlay, as they were given to mount(2). */
export function layersOf({superOptions}: Mount): string[] {
	const layer = /^(?:lowerdir\+?|datadir\+?|upperdir)=(.*)$/s;
	return superOptions.flatMap(option => layer.exec(option)?.[1]?.split(':') ?? []).filter(path => path !== '');
}

/** The mount with the longest mount point that the path begins with, the last of several. */
export function mountOfText(path: string, mounts: readonly Mount[]): Mount | undefined {
	let found: Mount | undefined;
	for (const mount of mounts) {
		const {mountPoint} = mount;
		const isAbove = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
		if (isAbove && mountPoint.length >= (found?.mountPoint.length ?? 0)) found = mount;
	}
	return found;
}
