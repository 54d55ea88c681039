/**
 * Locks that a program can put around unlink and listen, each as its documentation shows it.
 */
import {spawnSync} from 'node:child_process';
import {closeSync, mkdirSync, openSync, readFileSync, unlinkSync, utimesSync, writeFileSync} from 'node:fs';
import lockProperly, {type LockOptions} from 'proper-lockfile';
import {load} from './load.js';

export type GiveBack = () => void | Promise<void>;

export interface Exclusion {
	readonly package?: string;
	/** Rejects if somebody has it. */
	take(address: string): Promise<GiveBack>;
	leave?: (address: string) => void;
}

/** The default of proper-lockfile, and given to the others, which have none that ends within minutes. */
export const staleMs = 10_000;

const anHourAgo = (): number => Date.now() / 1000 - 3600;

export const properLockfile: Exclusion = {
	async take(address) {
		const options: LockOptions = {realpath: false, stale: staleMs, onCompromised: () => {}};
		const release = await lockProperly.lock(address, options);
		return () => release().catch(() => {});
	},
	leave(address) {
		mkdirSync(`${address}.lock`);
		utimesSync(`${address}.lock`, anHourAgo(), anHourAgo());
	},
};

interface LockfileModule {
	/** Which time of the file tells its age. */
	filetime: 'ctime' | 'mtime';
	lock(path: string, options: object, done: (error?: Error | null) => void): void;
	unlock(path: string, done: (error?: Error | null) => void): void;
}

/** Without a staleness it never ends; with one it does, heartbeat or not, for it has none. */
export async function takeLockfile(address: string, options: {readonly stale?: number}): Promise<GiveBack> {
	const module = await load<LockfileModule>('lockfile');
	// The other cannot be set back, as `leave` must.
	module.filetime = 'mtime';
	await called(done => module.lock(`${address}.lock`, {...options}, done));
	return () => called(done => module.unlock(`${address}.lock`, done));
}

export const lockfile: Exclusion = {
	package: 'lockfile',
	take: address => takeLockfile(address, {stale: staleMs}),
	leave(address) {
		writeFileSync(`${address}.lock`, '');
		utimesSync(`${address}.lock`, anHourAgo(), anHourAgo());
	},
};

interface CrossProcessModule {
	lock(path: string, options: object): Promise<() => Promise<void>>;
}

export const crossProcessLock: Exclusion = {
	package: 'cross-process-lock',
	async take(address) {
		const {lock} = await load<CrossProcessModule>('cross-process-lock');
		// It locks files that exist, which a socket need not.
		writeFileSync(`${address}.guard`, '');
		return await lock(`${address}.guard`, {waitTimeout: 100, lockTimeout: staleMs});
	},
	leave(address) {
		writeFileSync(`${address}.guard.lock`, JSON.stringify({pID: deadPid(), lockTime: anHourAgo() * 1000}));
	},
};

/** `exec 9>app.sock.lock; flock -n 9 || exit 1`: the lock stays with our descriptor. */
export const flockCommand: Exclusion = {
	async take(address) {
		const descriptor = openSync(`${address}.lock`, 'a');
		const {status} = spawnSync('flock', ['-x', '-n', '3'], {stdio: ['ignore', 'ignore', 'ignore', descriptor]});
		if (status === 0) return () => closeSync(descriptor);
		closeSync(descriptor);
		throw new Error('taken');
	},
};

/** The same by one who tidies up: the lock file is removed before the lock is dropped. */
export const removingFlockCommand: Exclusion = {
	async take(address) {
		const giveBack = await flockCommand.take(address);
		return () => {
			unlinkIfThere(`${address}.lock`);
			return giveBack();
		};
	},
};

/** Read it, ask whether that process lives, remove it if not, and create one's own. */
export function pidFile(suffix: string): Exclusion {
	return {
		async take(address) {
			const path = address + suffix;
			if (isAlive(readPid(path))) throw new Error('taken');
			unlinkIfThere(path);
			writeFileSync(path, String(process.pid), {flag: 'wx'});
			return () => unlinkIfThere(path);
		},
		leave(address) {
			writeFileSync(address + suffix, String(deadPid()));
		},
	};
}

function readPid(path: string): number {
	try {
		return Number.parseInt(readFileSync(path, 'utf8'), 10);
	} catch {
		return Number.NaN;
	}
}

function isAlive(pid: number): boolean {
	try {
		return pid > 0 && process.kill(pid, 0);
	} catch {
		return false;
	}
}

let dead: number | undefined;

/** Of a process that has ended and been waited for. */
function deadPid(): number {
	dead ??= spawnSync('true').pid;
	return dead;
}

function unlinkIfThere(path: string): void {
	try {
		unlinkSync(path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
	}
}

function called(start: (done: (error?: Error | null) => void) => void): Promise<void> {
	return new Promise((resolve, reject) => {
		start(error => (error === null || error === undefined ? resolve() : reject(error)));
	});
}
