/**
 * Starting somebody else's command as a shell would: same terminal, same process group, same open
 * descriptors, and the lock among them.
 */
import type {ChildProcess} from 'node:child_process';
import {readdirSync, readlinkSync} from 'node:fs';
import {constants} from 'node:os';
import {codeOf} from '../errors.js';

export interface Started {
	readonly pid: number;
	/** Its status as a shell reports it: 128+n for signal n. */
	readonly exited: Promise<number>;
	/** Nothing happens if it is gone, or may not be signalled. */
	signal(signal: NodeJS.Signals): void;
}

/**
 * Starts the command, and returns when `execve` has succeeded or failed.
 *
 * A descriptor keeps its number. So that of the lock is one that this process already uses: above
 * the single digits, which are all that a POSIX shell script can redirect, and never the number of
 * the pipe by which libuv hears of a failed exec, which would then go into the lock file.
 *
 * @param lock the descriptor to leave to it, if any
 * @returns for a command that could not be started, the code: `'ENOENT'`, `'EACCES'`, …
 */
export function startCommand(
	command: string,
	args: readonly string[],
	lock: number | undefined,
): Started | Promise<string> {
	const {spawn} = process.getBuiltinModule('node:child_process');
	let child: ChildProcess;
	try {
		child = spawn(command, args, {stdio: stdioOf(lock === undefined ? inherited : [...inherited, lock])});
	} catch (error) {
		// An empty name: there is no such command.
		return Promise.resolve(codeOf(error) === 'ERR_INVALID_ARG_VALUE' ? 'ENOENT' : codeOf(error));
	}
	const failed = new Promise<string>(resolve => child.on('error', error => resolve(codeOf(error))));
	if (child.pid === undefined) return failed;
	const exited = new Promise<number>(resolve =>
		child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))),
	);
	return {pid: child.pid, exited, signal: signal => child.kill(signal)};
}

/** What the command gets under each number; the rest stays closed to it. */
function stdioOf(descriptors: readonly number[]): ('inherit' | 'ignore' | number)[] {
	const stdio: ('inherit' | 'ignore' | number)[] = ['inherit', 'inherit', 'inherit'];
	for (const descriptor of descriptors) {
		while (stdio.length < descriptor) stdio.push('ignore');
		stdio[descriptor] = descriptor;
	}
	return stdio;
}

/**
 * The descriptors that this process was started with (`3<file`, a readiness pipe, `<(…)`). Node has
 * made them close-on-exec, so they have to be named. Those that Node opened itself are told by what
 * they are; a pipe of which both ends are here is one of them, too.
 */
function inheritedDescriptors(): number[] {
	const targets = new Map<number, string>();
	const seen = new Map<string, number>();
	for (const name of readdirSync('/proc/self/fd')) {
		try {
			const target = readlinkSync(`/proc/self/fd/${name}`);
			targets.set(Number(name), target);
			seen.set(target, (seen.get(target) ?? 0) + 1);
		} catch {
			// The descriptor that read the directory.
		}
	}
	const isOurs = (target: string): boolean =>
		target.startsWith('anon_inode:') ||
		target === '/dev/null' ||
		(target.startsWith('pipe:') && seen.get(target) === 2);
	return [...targets].filter(([fd, target]) => fd > 2 && !isOurs(target)).map(([fd]) => fd);
}

/** Looked up at the start, before this process opens anything of its own. */
const inherited: readonly number[] = process.platform === 'linux' ? inheritedDescriptors().sort((a, b) => a - b) : [];
