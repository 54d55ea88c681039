/**
 * The mounts of a process, as /proc/<pid>/mountinfo lists them (`proc_pid_mountinfo(5)`): that is read without touching
 * any of the filesystems, so it cannot hang where one of them does.
 */
import {closeSync, constants, openSync, statfsSync} from 'node:fs';
import {isTrouble, oPath, readProc} from '../procfs.js';

export interface Mount {
	readonly id: string;
	/**
	 * `major:minor` of the superblock, as the kernel's own tables name it (/proc/locks, `ss -e`). On btrfs and some
	 * stacked filesystems `stat` gives programs another number.
	 */
	readonly device: string;
	/** Under the root of the process. */
	readonly mountPoint: string;
	/** Of this mount: `ro`, `noatime`, … */
	readonly options: readonly string[];
	/** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`, … */
	readonly type: string;
	/** Of the superblock: for an overlay its layers. */
	readonly superOptions: readonly string[];
}

/** In the order in which they were mounted; empty without /proc. */
export function mountsOf(pid: number | 'self'): readonly Mount[] {
	return linesOf(pid).flatMap(line => parseMount(line) ?? []);
}

/** The overlays among them; a machine with containers has thousands of other mounts. */
export function overlaysOf(pid: number | 'self'): readonly Mount[] {
	return linesOf(pid)
		.filter(line => line.includes(' - overlay '))
		.flatMap(line => parseMount(line) ?? []);
}

/** Of this process. */
export function mountWithId(id: string | undefined): Mount | undefined {
	const line = linesOf('self').find(each => each.startsWith(`${id} `));
	return line === undefined ? undefined : parseMount(line);
}

function linesOf(pid: number | 'self'): string[] {
	return (readProc(`/proc/${pid}/mountinfo`, true) ?? '').split('\n');
}

/** The mount that a descriptor was opened on. Mounts may lie over each other, so that a path does not tell. */
export function mountOfDescriptor(descriptor: number): Mount | undefined {
	return mountWithId(mountIdOf(descriptor));
}

export function mountIdOf(descriptor: number): string | undefined {
	return /^mnt_id:\s*(\d+)$/m.exec(readProc(`/proc/self/fdinfo/${descriptor}`) ?? '')?.[1];
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw` */
function parseMount(line: string): Mount | undefined {
	const [before = '', after = ''] = line.split(' - ');
	const [id, , device, , mountPoint, options = ''] = before.split(' ');
	const [type, , superOptions = ''] = after.split(' ');
	if (id === undefined || device === undefined || mountPoint === undefined || type === undefined) return undefined;
	return {
		id,
		device,
		mountPoint: unescaped(mountPoint),
		options: options.split(','),
		type,
		superOptions: superOptions.split(',').map(unescaped),
	};
}

/** The kernel writes space, tab, newline and backslash as three octal digits; names are bytes. */
function unescaped(text: string): string {
	const bytes = text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
	return Buffer.from(bytes, 'latin1').toString();
}

export interface Filesystem {
	/** As {@link Mount.type}; a number in hexadecimal if only that is known. */
	readonly type: string;
	readonly mountPoint?: string;
	readonly readOnly: boolean;
}

/** @throws what the system call says of a directory that is not there */
export function filesystemOf(directory: string): Filesystem {
	const mount = mountOfDirectory(directory);
	if (mount !== undefined) {
		return {type: mount.type, mountPoint: mount.mountPoint, readOnly: mount.options.includes('ro')};
	}
	const magic = statfsSync(directory).type;
	return {type: magics[magic] ?? `0x${magic.toString(16)}`, readOnly: false};
}

/**
 * The mount that a file is on; a symbolic link is not followed.
 *
 * @throws what the system call says of a file that is not there
 */
export function mountOfFile(path: string): Mount | undefined {
	return mountOfPath(path, constants.O_NOFOLLOW);
}

/** @throws as {@link mountOfFile} */
export function mountOfDirectory(directory: string): Mount | undefined {
	return mountOfPath(directory, constants.O_DIRECTORY);
}

/** The same; `undefined` if that cannot be told, as where the file is gone by now. */
export function mountOrUndefined(path: string): Mount | undefined {
	try {
		return mountOfFile(path);
	} catch (error) {
		if (isTrouble(error)) throw error;
		return undefined;
	}
}

function mountOfPath(path: string, flags: number): Mount | undefined {
	if (oPath === undefined) return undefined;
	const descriptor = openSync(path, oPath | flags);
	try {
		return mountOfDescriptor(descriptor);
	} finally {
		closeSync(descriptor);
	}
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
