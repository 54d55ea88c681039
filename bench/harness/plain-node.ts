/**
 * Plain Node that makes the system calls of bindlock, and nothing else: how much of bindlock's time is Node's.
 */
import {
	closeSync,
	constants,
	fstatSync,
	ftruncateSync,
	lstatSync,
	openSync,
	readlinkSync,
	readSync,
	statSync,
	writeSync,
} from 'node:fs';
import {createRequire} from 'node:module';

const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

const record = `${process.pid}\n${JSON.stringify({bindlock: 1, pid: process.pid, fd: 17, since: new Date().toISOString(), uid: 0, command: 'node bench', host: 'host'})}\n`;

const content = Buffer.alloc(4096);

/** Returns a function that takes a free lock, and looks at the holder of a held one as bindlock does. */
export function preparePlainNode(): (address: string) => () => void {
	const {flockSync} = createRequire(import.meta.url)('fs-ext') as {flockSync(descriptor: number, flags: string): void};
	return address => take(address, flockSync);
}

function take(address: string, flockSync: (descriptor: number, flags: string) => void): () => void {
	process.geteuid?.();
	let descriptor: number;
	try {
		descriptor = openSync(`${address}.lock`, flags);
	} catch {
		descriptor = openSync(`${address}.lock`, flags | constants.O_CREAT | constants.O_EXCL, 0o600);
	}
	const {size} = fstatSync(descriptor, {bigint: true});
	if (size > 0n) readSync(descriptor, content, 0, content.length, 0);
	try {
		flockSync(descriptor, 'exnb');
	} catch (error) {
		lookAtHolder(address);
		closeSync(descriptor);
		throw error;
	}
	lstatSync(`${address}.lock`, {bigint: true});
	lstatSync(address, {bigint: true, throwIfNoEntry: false});
	writeSync(descriptor, record, 0);
	return () => {
		ftruncateSync(descriptor);
		closeSync(descriptor);
	};
}

/** The record names the holder, and /proc confirms it. */
function lookAtHolder(address: string): void {
	const [, json = '{}'] = content.toString('utf8', 0, content.indexOf(0)).split('\n');
	const {pid, fd} = JSON.parse(json) as {readonly pid: number; readonly fd: number};
	lstatSync(`${address}.lock`, {bigint: true});
	for (const name of ['stat', `fdinfo/${fd}`, 'cmdline']) readOnce(`/proc/${pid}/${name}`);
	statSync(`/proc/${pid}`);
	readOnce(`/proc/${pid}/stat`);
	readlinkSync('/proc/self');
}

/** With one read(2): readFileSync() makes five calls. */
function readOnce(path: string): void {
	const descriptor = openSync(path, 'r');
	readSync(descriptor, table, 0, table.length, null);
	closeSync(descriptor);
}

const table = Buffer.alloc(65_536);
