/**
 * The mounts of a process, as /proc/<pid>/mountinfo lists them (`proc_pid_mountinfo(5)`).
 *
 * The kernel prints that list without calling any of the filesystems, so reading it cannot hang.
 */
import {constants, statfsSync} from 'node:fs';
import {oPath, withOpen} from '../files/opening.js';
import {linkOrUndefined, lookUp, readProc, readProcTable} from '../proc/procfs.js';

export interface Mount {
	readonly id: string;
	/**
	 * `major:minor` of the superblock, as in the kernel's own tables (/proc/locks, `ss -e`). On btrfs and some stacked
	 * filesystems stat(2) gives another number.
	 */
	readonly device: string;
	/** Below the root of the process. */
	readonly mountPoint: string;
	/** Of this mount: `ro`, `noatime`, … */
	readonly options: readonly string[];
	/** The kernel's name for it: `ext4`, `nfs4`, `fuse.sshfs`, … */
	readonly type: string;
	/** Of the superblock; for an overlay, with its layers. */
	readonly superOptions: readonly string[];
}

/**
 * Returns the mounts in the order in which they were mounted; none without /proc.
 *
 * @param matches selects lines of the list before they are parsed
 */
export function mountsOf(pid: number | 'self', matches: (line: string) => boolean = () => true): readonly Mount[] {
	const text = remembered(pid) ?? readProcTable(`/proc/${pid}/mountinfo`) ?? '';
	const lines = text === parsed.text ? parsed.lines : text.split('\n').map(line => new MountLine(line));
	parsed = {text, lines};
	return lines.filter(({line}) => matches(line)).flatMap(({mount}) => mount ?? []);
}

/** The lists of a snapshot, by mount namespace and root. */
let snapshot: Map<string, {readonly text: string; readonly readAt: number}> | undefined;

/** How old a list of the snapshot may be. */
const snapshotMs = 1000;

/**
 * Makes this process read the list of each mount namespace once a second only. For a program that shows thousands of
 * sockets; a lock is never taken by such a list.
 */
export function takeMountSnapshots(): void {
	snapshot ??= new Map();
}

/** Returns the list of a process from the snapshot; reads it if it is not in there. */
function remembered(pid: number | 'self'): string | undefined {
	const [namespace, root] =
		snapshot === undefined ? [] : ['ns/mnt', 'root'].map(name => linkOrUndefined(`/proc/${pid}/${name}`));
	if (snapshot === undefined || namespace === undefined || root === undefined) return undefined;
	const key = `${namespace} ${root}`;
	const known = snapshot.get(key);
	if (known !== undefined && performance.now() - known.readAt < snapshotMs) return known.text;
	const text = readProcTable(`/proc/${pid}/mountinfo`) ?? '';
	snapshot.set(key, {text, readAt: performance.now()});
	return text;
}

/** A line that is parsed when it is first used. */
class MountLine {
	readonly line: string;
	#mount: Mount | undefined | false = false;

	constructor(line: string) {
		this.line = line;
	}

	get mount(): Mount | undefined {
		if (this.#mount === false) this.#mount = parseMount(this.line);
		return this.#mount;
	}
}

/** The last list. It is read anew each time, and seldom differs. */
let parsed: {readonly text: string; readonly lines: readonly MountLine[]} = {text: '', lines: []};

/** Returns the overlays only. Parses no other line: a machine with containers has thousands of mounts. */
export function overlaysOf(pid: number | 'self'): readonly Mount[] {
	return mountsOf(pid, line => line.includes(' - overlay '));
}

/** Returns a mount of this process. */
export function mountWithId(id: string | undefined): Mount | undefined {
	return mountsOf('self', line => line.startsWith(`${id} `))[0];
}

/** @throws the error of open(2) if there is no such directory */
export function mountOfDirectory(directory: string): Mount | undefined {
	return mountOfPath(directory, constants.O_DIRECTORY);
}

/** Returns the mount that a file is on; `undefined` if there is no such file. Does not follow a symbolic link. */
export function mountOfFile(path: string): Mount | undefined {
	return lookUp(() => mountOfPath(path, constants.O_NOFOLLOW));
}

function mountOfPath(path: string, flags: number): Mount | undefined {
	return oPath === undefined ? undefined : withOpen(path, oPath | flags, mountOfDescriptor);
}

/** Returns the mount that a descriptor was opened on. A path does not determine it: mounts may cover each other. */
export function mountOfDescriptor(descriptor: number): Mount | undefined {
	return mountWithId(mountIdOf(descriptor));
}

export function mountIdOf(descriptor: number): string | undefined {
	return /^mnt_id:\s*(\d+)$/m.exec(readProc(`/proc/self/fdinfo/${descriptor}`) ?? '')?.[1];
}

export interface Filesystem {
	/** As {@link Mount.type}; a hexadecimal number if only that is known. */
	readonly type: string;
	readonly mountPoint?: string;
	readonly readOnly: boolean;
}

/** @throws the error of the system call if there is no such directory */
export function filesystemOf(directory: string): Filesystem {
	const mount = mountOfDirectory(directory);
	if (mount !== undefined) {
		return {type: mount.type, mountPoint: mount.mountPoint, readOnly: mount.options.includes('ro')};
	}
	const magic = statfsSync(directory).type;
	return {type: magics[magic] ?? `0x${magic.toString(16)}`, readOnly: false};
}

/** The numbers of `statfs(2)`. */
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

/** The kernel prints space, tab, newline and backslash as three octal digits. Names are bytes. */
function unescaped(text: string): string {
	const bytes = text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
	return Buffer.from(bytes, 'latin1').toString();
}
