/**
 * Which filesystem a directory is on.
 */
import {closeSync, openSync, statfsSync} from 'node:fs';
import {oPath, readProc} from './procfs.js';

export interface Filesystem {
	/** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`, …; a number in hexadecimal if only that is known. */
	readonly type: string;
	readonly mountPoint?: string;
	readonly readOnly: boolean;
}

/** @throws what the system call says of a directory that is not there */
export function filesystemOf(directory: string): Filesystem {
	const id = mountIdOf(directory);
	const mounts = readProc('/proc/self/mountinfo', true) ?? '';
	const line = mounts.split('\n').find(each => each.startsWith(`${id} `));
	const mount = line === undefined ? undefined : parseMount(line);
	if (mount !== undefined) return mount;
	const magic = statfsSync(directory).type;
	return {type: magics[magic] ?? `0x${magic.toString(16)}`, readOnly: false};
}

/** Mounts may lie over each other, so that a path does not tell. */
function mountIdOf(directory: string): string | undefined {
	if (oPath === undefined) return undefined;
	const descriptor = openSync(directory, oPath);
	try {
		return /^mnt_id:\s*(\d+)$/m.exec(readProc(`/proc/self/fdinfo/${descriptor}`) ?? '')?.[1];
	} finally {
		closeSync(descriptor);
	}
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw` (`proc_pid_mountinfo(5)`) */
function parseMount(line: string): Filesystem | undefined {
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
