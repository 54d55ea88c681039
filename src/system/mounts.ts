/**
 * Which filesystem a directory is on.
 */
import {realpathSync, statfsSync} from 'node:fs';
import {readProc} from './procfs.js';

export interface Filesystem {
	/** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`, …; a number in hexadecimal if only that is known. */
	readonly type: string;
	readonly mountPoint?: string;
	readonly readOnly: boolean;
}

/** @throws what the system call says of a directory that is not there */
export function filesystemOf(directory: string): Filesystem {
	const real = realpathSync(directory);
	const mounts = (readProc('/proc/self/mountinfo', true) ?? '').split('\n').map(parseMount);
	let best: Filesystem & {readonly mountPoint: string} = {type: '', mountPoint: '', readOnly: false};
	for (const mount of mounts) {
		// Of several mounts at one place the last is on top.
		if (mount !== undefined && contains(mount.mountPoint, real) && mount.mountPoint.length >= best.mountPoint.length)
			best = mount;
	}
	if (best.mountPoint !== '') return best;
	const magic = statfsSync(real).type;
	return {type: magics[magic] ?? `0x${magic.toString(16)}`, readOnly: false};
}

function contains(mountPoint: string, path: string): boolean {
	return path === mountPoint || path.startsWith(mountPoint.endsWith('/') ? mountPoint : `${mountPoint}/`);
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw` (`proc_pid_mountinfo(5)`) */
function parseMount(line: string): (Filesystem & {readonly mountPoint: string}) | undefined {
	const [before = '', after = ''] = line.split(' - ');
	const [, , , , mountPoint, options = ''] = before.split(' ');
	const [type] = after.split(' ');
	if (mountPoint === undefined || type === undefined) return undefined;
	const readable = mountPoint.replace(/\\(\d{3})/g, (_, octal: string) =>
		String.fromCharCode(Number.parseInt(octal, 8)),
	);
	return {
		type,
		mountPoint: Buffer.from(readable, 'latin1').toString(),
		readOnly: options.split(',').includes('ro'),
	};
}

/** `statfs(2)` */
const magics: Readonly<Record<number, string>> = {
	26985: 'nfs',
	61267: 'ext4',
	16914836: 'tmpfs',
	2035054128: 'overlay',
	16914839: '9p',
	1702057286: 'fuse',
	1481003842: 'xfs',
	2435016766: 'btrfs',
	4283649346: 'cifs',
	4266872130: 'smb3',
};
