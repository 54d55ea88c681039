/**
 * Locks that a program can put around unlink and listen, each as its documentation shows.
 */
import {spawnSync} from 'node:child_process';
import {closeSync, mkdirSync, openSync, readFileSync, unlinkSync, utimesSync, writeFileSync} from 'node:fs';
import lockProperly, {type LockOptions} from 'proper-lockfile';
import {load} from './load.js';

export type GiveBack = () => void | Promise<void>;

export interface Exclusion {
	readonly package?: string;
	/** Rejects if another process has the lock. */
	take(address: string): Promise<GiveBack>;
	leave?: (address: string) => void;
}

/**
 * The default of proper-lockfile. The other packages, which have no default that expires within minutes, get it as
 * well.
 */
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
	/** The timestamp that tells the age of the lock file. */
	filetime: 'ctime' | 'mtime';
	lock(path: string, options: object, done: (error?: Error | null) => void): void;
	unlock(path: string, done: (error?: Error | null) => void): void;
}

/** Without `stale` the lock never expires. With it the lock expires always, because the package has no heartbeat. */
export async function takeLockfile(address: string, options: {readonly stale?: number}): Promise<GiveBack> {
	const module = await load<LockfileModule>('lockfile');
	// The other timestamp cannot be set back, which `leave` requires.
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
		// The package locks existing files; a socket need not exist.
		writeFileSync(`${address}.guard`, '');
		return await lock(`${address}.guard`, {waitTimeout: 100, lockTimeout: staleMs});
	},
	leave(address) {
		writeFileSync(`${address}.guard.lock`, JSON.stringify({pID: deadPid(), lockTime: anHourAgo() * 1000}));
	},
};

/** `exec 9>app.sock.lock; flock -n 9 || exit 1`: the lock belongs to this descriptor. */
export const flockCommand: Exclusion = {
	async take(address) {
		const descriptor = openSync(`${address}.lock`, 'a');
		const {status} = spawnSync('flock', ['-x', '-n', '3'], {stdio: ['ignore', 'ignore', 'ignore', descriptor]});
		if (status === 0) return () => closeSync(descriptor);
		closeSync(descriptor);
		throw new Error('taken');
	},
};

/** The same, but the lock file is removed before the lock is released. */
export const removingFlockCommand: Exclusion = {
	async take(address) {
		const giveBack = await flockCommand.take(address);
		return () => {
			unlinkIfThere(`${address}.lock`);
			return giveBack();
		};
	},
};

/** Reads the pid file, checks whether that process is alive, removes the file if not, and creates a new one. */
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

/** Returns the pid of a process that has ended and was reaped. */
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
