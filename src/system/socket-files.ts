/**
 * Which file each bound socket has made, by its inode: the table in /proc does not have that. The kernel tells
 * it by netlink (`UNIX_DIAG_VFS` of `sock_diag(7)`), which Node does not speak and `ss(8)` of iproute2 does.
 */
import {spawnSync} from 'node:child_process';

/**
 * Of this network namespace.
 *
 * @returns inode of the file, in the 32 bits that the kernel gives, by inode of the socket; empty without `ss`
 */
export function socketFiles(): ReadonlyMap<string, bigint> {
	const {status, stdout} = spawnSync('ss', ['-xae'], {stdio: ['ignore', 'pipe', 'ignore'], ...limits});
	const files = new Map<string, bigint>();
	if (status !== 0) return files;
	const twice = new Set<string>();
	for (const [, socket = '', file = ''] of stdout.toString('latin1').matchAll(row)) {
		// A name may contain a newline and what looks like a row.
		if (files.has(socket)) twice.add(socket);
		files.set(socket, BigInt(file));
	}
	for (const socket of twice) files.delete(socket);
	return files;
}

/** Its table is read before it prints, and printing takes no time. */
const limits = {timeout: 5000, killSignal: 'SIGKILL', maxBuffer: 2 ** 28} as const;

/**
 * `u_str LISTEN 0 128 /run/app.sock 4711 * 0 <-> ino:131 dev:0/25`: name and inode of the socket, and of the one that
 * it is connected to; which directions are shut down; its file.
 */
const row = / (\d+) +\S+ +\d+ +[<-]-[->] ino:(\d+) dev:/g;

/** Whether that number, of 32 bits, may be of this file. */
export function isInodeOf(inode: bigint, file: {readonly ino: bigint}): boolean {
	return BigInt.asUintN(32, file.ino) === inode;
}
