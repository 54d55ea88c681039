/**
 * The file of each bound Unix socket, as `ss(8)` of iproute2 shows it.
 *
 * /proc/net/unix does not have it. The kernel gives it by netlink (`UNIX_DIAG_VFS` of `sock_diag(7)`), which Node does
 * not speak.
 */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {type Interruptible, inPieces} from '../interruptible.js';

/** The file that a socket has made in bind(2). */
export interface SocketFile {
	/** The low 32 bits of its inode number. */
	readonly ino: bigint;
	/** `major:minor` of its filesystem, as in /proc/<pid>/mountinfo. */
	readonly device: string;
}

/**
 * Returns the files of this network namespace by the inode of the socket; none if there is no `ss`, or no process may be
 * started.
 */
export async function readSocketFiles(): Promise<ReadonlyMap<string, SocketFile>> {
	try {
		const {stdout} = await promisify(execFile)('ss', ['-xae'], options);
		return await inPieces(parseSocketFiles(stdout));
	} catch {
		return new Map();
	}
}

/** Whether {@link SocketFile.ino} may be of this file: it has the low 32 bits of its inode number. */
export function isInodeOf(inode: bigint, file: {readonly ino: bigint | number}): boolean {
	return BigInt.asUintN(32, BigInt(file.ino)) === inode;
}

const options = {encoding: 'latin1', timeout: 5000, killSignal: 'SIGKILL', maxBuffer: 2 ** 28} as const;

function* parseSocketFiles(output: string): Interruptible<Map<string, SocketFile>> {
	const files = new Map<string, SocketFile>();
	const seen = new Set<string>();
	for (const [, socket = '', ino, major, minor] of output.matchAll(row)) {
		// A name may contain what looks like a row, with or without a newline. Then the socket appears twice.
		if (seen.has(socket)) files.delete(socket);
		else if (ino !== undefined) {
			files.set(socket, {ino: BigInt(ino), device: kernelDevice(Number(major), Number(minor))});
		}
		seen.add(socket);
		if (seen.size % 100 === 0) yield;
	}
	return files;
}

/**
 * `u_str LISTEN 0 128 /run/app.sock 4711 * 0 <-> ino:131 dev:0/25`: name and inode of the socket, and of its peer; which
 * directions are shut down; its file, if it has one.
 */
const row = / (\d+) +\S+ +\d+ +[<-]-[->](?: ino:(\d+) dev:(\d+)\/(\d+))?/g;

/** The kernel sends 12 bits of major and 20 bits of minor (`MKDEV`), and `ss` splits them as libc does (`makedev(3)`). */
function kernelDevice(major: number, minor: number): string {
	const number = ((major & 0xfff) << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12);
	return `${number >>> 20}:${number & 0xfffff}`;
}
