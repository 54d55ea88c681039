/**
 * Waiting for a flock in the kernel's own queue, by a flock(1) that blocks on our inherited descriptor.
 *
 * The kernel grants the lock to the open file description, and so to this process, the moment the holder is gone.
 */
import type {ChildProcess, SpawnOptions} from 'node:child_process';
import {attempt} from '../../model/attempt.js';
import {pause, timeLeft, wakeable} from '../deadline.js';
import {queueingCommand} from './choice.js';
import type {Flock} from './flock.js';
import {pollFlock} from './flock-polling.js';

/**
 * Waits until it is worth calling `flock` again, which then says whether this process has the lock.
 *
 * @param deadline of `performance.now()`, in milliseconds
 * @returns `false` if the deadline has passed
 * @throws the signal's reason
 */
export async function awaitFlock(
	descriptor: number,
	deadline: number,
	flock: Flock,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const command = queueingCommand();
	if (command === undefined) return pollFlock(descriptor, deadline, flock, signal);
	signal?.throwIfAborted();
	// A failed spawn is known sooner than any timer fires, so the timer alone would not end the caller's loop.
	if (timeLeft(deadline) <= 0) return false;
	const child = start(command, descriptor);
	return child === undefined ? pollFlock(descriptor, deadline, flock, signal) : awaitChild(child, deadline, signal);
}

/**
 * Runs flock(1) in a shell, so that flock(1) does not outlive this process, however this process dies.
 *
 * - Standard output is a pipe. It ends when flock(1) exits, for whatever reason. The flock of util-linux also prints a
 *   line before it exits (`--verbose`), because its exit takes as long as the grant itself.
 * - Standard input is a pipe that this process holds open. When it ends, the shell signals its process group. It does
 *   not signal the pid of flock(1), which may be another process's by then.
 * - The shell waits for flock(1), and waits again after its own signal interrupts that. Otherwise a zombie could be left
 *   to this process, which may be the subreaper of orphans; Node does not wait for children that it does not know.
 *
 * Neither process wakes up while it waits.
 */
const script = 'trap : TERM; "$0" "$@" -x 3 </dev/null & exec >&- 3>&-; read -r _; kill 0; until wait; do :; done';

/** Cleared once flock(1) has rejected it, as BusyBox does, so that only one wait starts a second child for that. */
let verbose = ['--verbose'];

/** A flock(1) that exits later than this has accepted its options. */
const usageErrorMs = 1000;

/** The shortest time from one start of flock(1) to the next, in case it exits at once without the lock. */
const minIntervalMs = 20;

/** Returns `undefined` where no process may be started: by Node's permission model or a seccomp filter. */
function start(command: string, descriptor: number): ChildProcess | undefined {
	const {spawn} = process.getBuiltinModule('node:child_process');
	// A process group of its own: it can be signalled as one, and Ctrl-C in the terminal does not reach it.
	const options: SpawnOptions = {stdio: ['pipe', 'pipe', 'ignore', descriptor], detached: true};
	return attempt(() => spawn('/bin/sh', ['-c', script, command, ...verbose], options));
}

async function awaitChild(child: ChildProcess, deadline: number, signal: AbortSignal | undefined): Promise<boolean> {
	const began = performance.now();
	let woken = false;
	let hasPrinted = false;
	try {
		woken = await wakeable(deadline, signal, wake => {
			child.on('error', wake);
			child.stdin?.on('error', wake);
			child.stdout?.on('error', wake).on('end', wake);
			child.stdout?.on('data', () => {
				hasPrinted = true;
				wake();
			});
		});
	} finally {
		// After a grant the shell does no harm, and ending it takes time in which the server could already serve.
		if (woken) setTimeout(end, minIntervalMs, child);
		else end(child);
	}
	const elapsedMs = performance.now() - began;
	if (woken && !hasPrinted) {
		if (verbose.length > 0 && child.pid !== undefined && elapsedMs < usageErrorMs) verbose = [];
		else if (elapsedMs < minIntervalMs) await pause(Math.min(minIntervalMs - elapsedMs, timeLeft(deadline)), signal);
	}
	return woken;
}

function end(child: ChildProcess): void {
	child.stdin?.destroy();
	child.stdout?.destroy();
	child.unref();
	const {pid} = child;
	// SIGTERM and not SIGKILL: the shell has yet to wait for flock(1). It may also have exited already.
	if (pid !== undefined) attempt(() => process.kill(-pid, 'SIGTERM'));
}
