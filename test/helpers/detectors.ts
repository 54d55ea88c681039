/**
 * What is true of an address, found out without asking bindlock.
 */

import {once} from 'node:events';
import {linkSync, readdirSync, readFileSync, readlinkSync, renameSync, statSync} from 'node:fs';
import {connect, createServer} from 'node:net';

/** Leaves a socket file behind that no process is bound to. */
export async function makeStale(path: string): Promise<void> {
	const server = createServer().listen(path);
	await once(server, 'listening');
	linkSync(path, `${path}.kept`);
	server.close();
	await once(server, 'close');
	renameSync(`${path}.kept`, path);
}

/** How many listening sockets are bound to the address, masked ones included, by the kernel's own table. */
export function listeners(address: string): number {
	const shown = address.replaceAll('\0', '@');
	const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
	return rows.filter(row => {
		const [, , , flags, , , , ...name] = row.split(/ +/);
		return flags === '00010000' && name.join(' ').replace(/@+$/, '') === shown;
	}).length;
}

/** The pid that answers a client, or the code of its error. */
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

/** Which of these processes have an exclusive flock of the file. */
export function flockHolders(path: string, pids: readonly number[]): number[] {
	return pids.filter(pid => hasFlock(path, pid));
}

/** Whether the process has an exclusive flock of the file, from its descriptors' fdinfo. Throws if one of them is gone. */
export function hasFlock(path: string, pid: number): boolean {
	const {ino} = statSync(path);
	const pattern = new RegExp(`FLOCK +ADVISORY +WRITE .*:${ino} `);
	return readdirSync(`/proc/${pid}/fd`).some(fd => {
		try {
			if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== path) return false;
			return pattern.test(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
		} catch {
			// The descriptor that read the directory, or one that is closed by now: it says nothing about the others.
			return false;
		}
	});
}
