/**
 * Starts a command as a shell does: with the same terminal, process group and open descriptors, and
 * with the descriptor of the lock.
 */
import type {ChildProcess} from 'node:child_process';
import {constants} from 'node:os';
import {hasPassedSockets} from '../../kernel/sockets/passed-sockets.js';
import {codeOf} from '../../model/errors.js';
import {type InheritedDescriptors, inheritedDescriptors} from './inherited-descriptors.js';

/** How a command ended. */
export interface CommandEnd {
	/** As a shell has it: 128+n for signal n, but 0 for a signal that Node has no name for. */
	readonly status: number;
	/** The signal that ended it. */
	readonly signal: NodeJS.Signals | null;
}

export interface CommandProcess {
	readonly pid: number;
	/** The descriptor of the lock in the command. */
	readonly lock: number | undefined;
	readonly exited: Promise<CommandEnd>;
	/** Does nothing if the command has ended, or may not be signalled. */
	signal(signal: NodeJS.Signals): void;
}

/**
 * Starts a command, and returns when `execve` has succeeded or failed.
 *
 * @param lock the descriptor that the command inherits, if any
 * @returns the error code if the command could not be started: `'ENOENT'`, `'EACCES'`, …
 */
export function startCommand(
	command: string,
	args: readonly string[],
	lock: number | undefined,
): CommandProcess | Promise<string> {
	const {spawn} = process.getBuiltinModule('node:child_process');
	const passed = new Map(inherited.open.map(descriptor => [descriptor, descriptor]));
	const number = lock === undefined ? undefined : (inherited.spare ?? lock);
	if (number !== undefined) passed.set(number, lock as number);
	let child: ChildProcess;
	try {
		child = spawn(...activated(command, args), {stdio: stdioOf(passed)});
	} catch (error) {
		// Node rejects an empty name.
		return Promise.resolve(codeOf(error) === 'ERR_INVALID_ARG_VALUE' ? 'ENOENT' : codeOf(error));
	}
	const failed = new Promise<string>(resolve => child.on('error', error => resolve(codeOf(error))));
	if (child.pid === undefined) return failed;
	const exited = new Promise<CommandEnd>(resolve =>
		child.on('exit', (code, signal) => {
			resolve({status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), signal});
		}),
	);
	return {pid: child.pid, lock: number, exited, signal: signal => child.kill(signal)};
}

/**
 * The sockets of sd_listen_fds(3) that were passed to bindlock are for the command. Their variable must have the pid of
 * the command, which only a shell in its place knows before.
 */
function activated(command: string, args: readonly string[]): [string, readonly string[]] {
	if (!hasPassedSockets()) return [command, args];
	return ['/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', command, ...args]];
}

/** Returns the `stdio` option of `spawn`: other numbers are closed in the command. */
function stdioOf(descriptors: ReadonlyMap<number, number>): ('inherit' | 'ignore' | number)[] {
	const stdio: ('inherit' | 'ignore' | number)[] = ['inherit', 'inherit', 'inherit'];
	for (const [number, descriptor] of descriptors) {
		while (stdio.length < number) stdio.push('ignore');
		stdio[number] = descriptor;
	}
	return stdio;
}

/** Read when this module loads, before bindlock opens descriptors of its own. */
const inherited: InheritedDescriptors =
	process.platform === 'linux' ? inheritedDescriptors() : {open: [], spare: undefined};
