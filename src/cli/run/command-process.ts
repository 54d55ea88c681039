/**
 * Starts a command as a shell does: with the same terminal, process group and open descriptors, and
 * with the descriptors of its lock and its sockets.
 */
import type {ChildProcess} from 'node:child_process';
import {constants} from 'node:os';
import type {Readable} from 'node:stream';
import {firstDescriptor, hasPassedSockets} from '../../kernel/sockets/passed-sockets.js';
import {lockDescriptorsVariable} from '../../lock/given-lock.js';
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
	/** The descriptors of the locks in the command, in the order of {@link PassedDescriptors.locks}. */
	readonly locks: readonly number[];
	/** The other end of {@link PassedDescriptors.readyFd}. */
	readonly ready: Readable | undefined;
	readonly exited: Promise<CommandEnd>;
	/** Does nothing if the command has ended, or may not be signalled. */
	signal(signal: NodeJS.Signals): void;
}

/** What a command inherits besides the descriptors of bindlock. */
export interface PassedDescriptors {
	readonly locks: readonly number[];
	/** Listening sockets, which are numbered from 3 (sd_listen_fds(3)). */
	readonly sockets?: readonly number[];
	/** A name for each socket, in `LISTEN_FDNAMES`. */
	readonly names?: readonly string[];
	/** The number of a pipe on which the command reports that it is ready. */
	readonly readyFd?: number | undefined;
}

/**
 * Starts a command, and returns when `execve` has succeeded or failed.
 *
 * @returns the error code if the command could not be started: `'ENOENT'`, `'EACCES'`, …
 */
export function startCommand(
	command: string,
	args: readonly string[],
	passed: PassedDescriptors,
): CommandProcess | Promise<string> {
	const {spawn} = process.getBuiltinModule('node:child_process');
	const {sockets = [], readyFd} = passed;
	const locks = lockNumbers(passed);
	const stdio = new Map<number, number | 'pipe'>(inherited.open.map(number => [number, number]));
	for (const [index, lock] of locks.entries()) stdio.set(lock, passed.locks[index] as number);
	for (const [index, socket] of sockets.entries()) stdio.set(firstDescriptor + index, socket);
	if (readyFd !== undefined) stdio.set(readyFd, 'pipe');
	let child: ChildProcess;
	try {
		child = spawn(...activated(command, args, sockets), {
			stdio: stdioOf(stdio),
			env: environmentOf(passed, locks),
		});
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
	const ready = readyFd === undefined ? undefined : (child.stdio[readyFd] as Readable);
	return {pid: child.pid, locks, ready, exited, signal: signal => child.kill(signal)};
}

/**
 * The sockets of sd_listen_fds(3) need a variable with the pid of the command, which only a shell in its place knows
 * before. Sockets that were passed to bindlock are for the command.
 */
function activated(command: string, args: readonly string[], sockets: readonly number[]): [string, readonly string[]] {
	if (sockets.length === 0 && !hasPassedSockets()) return [command, args];
	return ['/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', command, ...args]];
}

function environmentOf({sockets = [], names = []}: PassedDescriptors, locks: readonly number[]): NodeJS.ProcessEnv {
	if (sockets.length === 0) return process.env;
	return {
		...process.env,
		LISTEN_FDS: String(sockets.length),
		LISTEN_FDNAMES: names.join(':'),
		[lockDescriptorsVariable]: locks.join(','),
	};
}

/** Returns numbers in use in this process: see {@link InheritedDescriptors.spares}. */
function lockNumbers({locks, sockets = [], readyFd}: PassedDescriptors): readonly number[] {
	const own = [...locks, ...sockets].sort((one, other) => other - one);
	const afterSockets = firstDescriptor + sockets.length;
	return [...inherited.spares, ...own]
		.filter(number => number >= afterSockets && number !== readyFd)
		.slice(0, locks.length);
}

/** Returns the `stdio` option of `spawn`: other numbers are closed in the command. */
function stdioOf(descriptors: ReadonlyMap<number, number | 'pipe'>): ('inherit' | 'ignore' | 'pipe' | number)[] {
	const stdio: ('inherit' | 'ignore' | 'pipe' | number)[] = ['inherit', 'inherit', 'inherit'];
	for (const [number, descriptor] of descriptors) {
		while (stdio.length < number) stdio.push('ignore');
		stdio[number] = descriptor;
	}
	return stdio;
}

/** Read when this module loads, before bindlock opens descriptors of its own. */
const inherited: InheritedDescriptors = process.platform === 'linux' ? inheritedDescriptors() : {open: [], spares: []};
