/**
 * Which file each bound socket has made, by its inode: the table in /proc does not have that. The kernel tells
 * it by netlink (`UNIX_DIAG_VFS` of `sock_diag(7)`), which Node does not speak and `ss(8)` of iproute2 does.
 */
import {execFile, spawnSync} from 'node:child_process';

/** The file that a socket has made. */
export interface SocketFile {
	/** Its inode number, in the 32 bits that the kernel gives. */
	readonly ino: bigint;
	/** `major:minor` of its filesystem, as in /proc/<pid>/mountinfo. */
	readonly device: string;
}

/**
 * Of this network namespace. Blocks until `ss` has answered, which takes some milliseconds.
 *
 * @returns inode of the file, as {@link SocketFile.ino}, by inode of the socket; empty without `ss`
 */
export function socketFiles(): ReadonlyMap<string, bigint> {
	const {status, stdout} = spawnSync('ss', options, {stdio: ['ignore', 'pipe', 'ignore'], ...limits});
	const files = status === 0 ? [...parse(stdout.toString('latin1'))] : [];
	return new Map(files.map(([socket, {ino}]) => [socket, ino]));
}

/** Of this network namespace, without blocking. @returns by inode of the socket; `undefined` without `ss` */
export function readSocketFiles(): Promise<ReadonlyMap<string, SocketFile> | undefined> {
	return new Promise(resolve => {
		try {
			execFile('ss', options, {encoding: 'latin1', ...limits}, (error, stdout) => {
				resolve(error === null ? parse(stdout) : undefined);
			});
		} catch {
			// No process may be started.
			resolve(undefined);
		}
	});
}

const options = ['-xae'];

/** Its table is read before it prints, and printing takes no time. */
const limits = {timeout: 5000, killSignal: 'SIGKILL', maxBuffer: 2 ** 28} as const;

function parse(output: string): Map<string, SocketFile> {
	const files = new Map<string, SocketFile>();
	const seen = new Set<string>();
	for (const [, socket = '', ino, major, minor] of output.matchAll(row)) {
		// A name may contain what looks like a row, with a newline in it or without: then that socket is there twice.
		if (seen.has(socket)) files.delete(socket);
		else if (ino !== undefined) files.set(socket, {ino: BigInt(ino), device: deviceOf(Number(major), Number(minor))});
		seen.add(socket);
	}
	return files;
}

/**
 * `u_str LISTEN 0 128 /run/app.sock 4711 * 0 <-> ino:131 dev:0/25`: name and inode of the socket, and of the one that
 * it is connected to; which directions are shut down; its file, if it has one.
 */
const row = / (\d+) +\S+ +\d+ +[<-]-[->](?: ino:(\d+) dev:(\d+)\/(\d+))?/g;

/** The kernel sends 12 bits of major and 20 of minor (`MKDEV`), and ss splits them as `makedev(3)` of libc joins them. */
function deviceOf(major: number, minor: number): string {
	const number = ((major & 0xfff) << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12);
	return `${number >>> 20}:${number & 0xfffff}`;
}

/** Whether that number, of 32 bits, may be of this file. */
export function isInodeOf(inode: bigint, file: {readonly ino: bigint | number}): boolean {
	return BigInt.asUintN(32, BigInt(file.ino)) === inode;
}
