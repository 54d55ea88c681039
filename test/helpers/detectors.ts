/**
 * Observes an address without bindlock.
 */

import {once} from 'node:events';
import {linkSync, readdirSync, readFileSync, readlinkSync, renameSync, statSync} from 'node:fs';
import {connect, createServer} from 'node:net';

/** Creates a stale socket. */
export async function makeStale(path: string): Promise<void> {
	const server = createServer().listen(path);
	await once(server, 'listening');
	linkSync(path, `${path}.kept`);
	server.close();
	await once(server, 'close');
	renameSync(`${path}.kept`, path);
}

/** Returns the number of listening sockets bound to the address, including masked ones, in the kernel's table. */
export function listeners(address: string): number {
	const shown = address.replaceAll('\0', '@');
	const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
	return rows.filter(row => {
		const [, , , flags, , , , ...name] = row.split(/ +/);
		return flags === '00010000' && name.join(' ').replace(/@+$/, '') === shown;
	}).length;
}

/** Returns the pid that answers a client, or the error code. */
export function reach(address: string): Promise<number | string> {
	return new Promise(resolve => {
		const socket = connect(address);
		let text = '';
		socket.setEncoding('utf8');
		socket.on('data', data => {
			text += data;
		});
		socket.on('end', () => resolve(Number.parseInt(text, 10)));
		socket.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? 'UNKNOWN'));
	});
}

/** Returns the processes with an exclusive flock on the file. */
export function flockHolders(path: string, pids: readonly number[]): number[] {
	return pids.filter(pid => hasFlock(path, pid));
}

/** Returns whether the process has an exclusive flock on the file, from fdinfo. Throws if one of the two is gone. */
export function hasFlock(path: string, pid: number): boolean {
	const {ino} = statSync(path);
	const pattern = new RegExp(`FLOCK +ADVISORY +WRITE .*:${ino} `);
	return readdirSync(`/proc/${pid}/fd`).some(fd => {
		try {
			if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== path) return false;
			return pattern.test(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
		} catch {
			// A descriptor that is closed by now, for example the one that read the directory.
			return false;
		}
	});
}
