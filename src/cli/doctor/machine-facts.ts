/**
 * Reads what the machine offers to bindlock: flock, /proc, namespaces and kernel settings.
 */
import {readdirSync, readlinkSync} from 'node:fs';
import {loadFlock} from '../../kernel/flock/choice.js';
import {initialPidNamespace} from '../../kernel/proc/namespaces.js';
import {readProc} from '../../kernel/proc/procfs.js';

/**
 * Returns how flock(2) is called.
 *
 * @throws BindLockError if there is no way to call it
 */
export function flockMethod(): 'addon' | 'command' {
	loadFlock('');
	const forced = process.env['BINDLOCK_FLOCK'];
	if (forced === 'addon' || forced === 'command') return forced;
	return /[/\\]fs-ext[/\\].*\.node$/m.test(loadedLibraries()) ? 'addon' : 'command';
}

function loadedLibraries(): string {
	const report = process.report?.getReport() as {readonly sharedObjects?: readonly string[]} | undefined;
	return (report?.sharedObjects ?? []).join('\n');
}

/** Returns a number of `/proc/sys`, `undefined` if it does not exist. */
export function kernelSetting(name: string): number | undefined {
	const text = readProc(`/proc/sys/${name}`);
	return text === undefined ? undefined : Number(text);
}

/** Returns which parts of /proc this user can read. */
export function readableTables(): {readonly sockets: boolean; readonly locks: boolean; readonly processes: boolean} {
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

/**
 * Returns whether this process is in the namespace in which the machine booted, `undefined` if unknown. Only the initial
 * pid namespace has a fixed inode number. The initial network namespace is that of process 1 there.
 */
export function isInitialNamespace(kind: 'pid' | 'net'): boolean | undefined {
	try {
		const own = readlinkSync(`/proc/self/ns/${kind}`);
		if (kind === 'pid') return own === initialPidNamespace;
		return isInitialNamespace('pid') === true ? own === readlinkSync('/proc/1/ns/net') : undefined;
	} catch {
		return undefined;
	}
}
