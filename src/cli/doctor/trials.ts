/**
 * What `bindlock doctor` asks of the machine: mostly looks, and two trials with files of its own.
 */
import {accessSync, closeSync, constants, openSync, readdirSync, readlinkSync, statSync, unlinkSync} from 'node:fs';
import {join} from 'node:path';
import {type Flock, loadFlock, queueingCommand} from '../../kernel/flock/flock.js';
import {initialPidNamespace, readProc} from '../../kernel/procfs.js';
import {maxNameBytes} from '../../model/address.js';
import {codeOf} from '../../model/errors.js';

/** Which way flock(2) is called: as `loadFlock` would choose. */
export function flockWay(): 'addon' | 'command' {
	loadFlock('');
	const forced = process.env['BINDLOCK_FLOCK'];
	if (forced === 'addon' || forced === 'command') return forced;
	return /[/\\]fs-ext[/\\].*\.node$/m.test(loadedLibraries()) ? 'addon' : 'command';
}

/** Whether a wait for a lock queues in the kernel. */
export function queuesInKernel(): boolean {
	return queueingCommand() !== undefined;
}

function loadedLibraries(): string {
	const report = process.report?.getReport() as {readonly sharedObjects?: readonly string[]} | undefined;
	return (report?.sharedObjects ?? []).join('\n');
}

/** Whether a file in this directory can be locked, and a second lock is refused; removes the file. */
export function tryFlock(directory: string): 'works' | 'does not exclude' | string {
	const path = join(directory, `.bindlock-doctor-${process.pid}.lock`);
	const descriptors: number[] = [];
	try {
		const flock: Flock = loadFlock(path);
		descriptors.push(openSync(path, 'wx', 0o600));
		descriptors.push(openSync(path, 'r+'));
		const [first = -1, second = -1] = descriptors;
		if (!flock(first)) return 'does not lock';
		return flock(second) ? 'does not exclude' : 'works';
	} catch (error) {
		return codeOf(error);
	} finally {
		for (const descriptor of descriptors) closeSync(descriptor);
		if (descriptors.length > 0) unlinkSync(path);
	}
}

/** Whether a socket can be bound in this directory; it is gone afterwards. */
export function tryBind(directory: string): Promise<string> {
	const server = process.getBuiltinModule('node:net').createServer();
	const path = join(directory, `.bl-${process.pid}`);
	// Node 20 and 22 would cut it, and bind elsewhere.
	if (Buffer.byteLength(path) > maxNameBytes) return Promise.resolve('ENAMETOOLONG');
	return new Promise(resolve => {
		server.on('error', error => resolve(codeOf(error)));
		server.listen({path, exclusive: true}, () => server.close(() => resolve('works')));
	});
}

export interface Directory {
	readonly mode: number;
	readonly uid: number;
	readonly writable: boolean;
}

/** @returns the code if it is not there or is none */
export function directoryAt(path: string): Directory | string {
	try {
		const found = statSync(path);
		if (!found.isDirectory()) return 'ENOTDIR';
		return {mode: found.mode & 0o7777, uid: found.uid, writable: isWritable(path)};
	} catch (error) {
		return codeOf(error);
	}
}

function isWritable(path: string): boolean {
	try {
		accessSync(path, constants.W_OK | constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

/** A number of `/proc/sys`, `undefined` where there is none. */
export function kernelSetting(name: string): number | undefined {
	const text = readProc(`/proc/sys/${name}`);
	return text === undefined ? undefined : Number(text);
}

/** What of /proc this user can see. */
export function seesTables(): {readonly sockets: boolean; readonly locks: boolean; readonly processes: boolean} {
	return {
		sockets: readProc('/proc/net/unix') !== undefined,
		locks: readProc('/proc/locks') !== undefined,
		processes: canRead('/proc/1/fd'),
	};
}

function canRead(directory: string): boolean {
	try {
		readdirSync(directory);
		return true;
	} catch {
		return false;
	}
}

/** That of the network has no constant inode number: it is that of process 1 then. */
export function isInitialNamespace(kind: 'pid' | 'net'): boolean | undefined {
	try {
		const own = readlinkSync(`/proc/self/ns/${kind}`);
		if (kind === 'pid') return own === initialPidNamespace;
		return isInitialNamespace('pid') === true ? own === readlinkSync('/proc/1/ns/net') : undefined;
	} catch {
		return undefined;
	}
}
