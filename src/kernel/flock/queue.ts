/**
 * Waiting for a flock: in the kernel's own queue where there is a flock(1) to block in it, else by
 * trying now and then.
 */
import type {ChildProcess} from 'node:child_process';
import {timeLeft, wakeable} from '../deadline.js';
import {type Flock, queueingCommand} from './flock.js';

/**
 * Resolves when it is worth trying again: whether the lock is on our descriptor then is for flock to say.
 *
 * @returns `false` when the deadline is past
 * @throws the signal's reason
 */
export function awaitFlock(
	descriptor: number,
	deadline: number,
	flock: Flock,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const command = queueingCommand();
	return command === undefined
		? tryNowAndThen(descriptor, deadline, flock, signal)
		: queueUp(command, descriptor, deadline, flock, signal);
}

/**
 * flock(1) blocks on our inherited descriptor: the kernel queues that, and grants the lock to it
 * (and so to us, it is the same open file description) the moment that the holder is gone. Its
 * standard output is a pipe that ends when it exits, whatever the reason; the flock of util-linux
 * is made to say something before that, because its exit takes as long again.
 *
 * The shell is there so that flock(1) does not outlive us, however we die: it reads from a pipe
 * that we hold open, and when that ends it ends its own process group, which is nobody's else (the
 * pid of a flock(1) that has exited may be). It waits for flock(1), and again where our own signal
 * interrupts that, because we may be the process that orphans are given to, and Node knows of none.
 * Neither wakes up while waiting.
 */
const script = 'trap : TERM; "$0" "$@" -x 3 </dev/null & exec >&- 3>&-; read -r _; kill 0; until wait; do :; done';

/** Not known to BusyBox, whose flock then exits at once and says nothing. */
let verbose = ['--verbose'];

/** One that has waited longer before it went knew its options. */
const usageMs = 1000;

/** A flock(1) that exits at once without the lock must not make us start one after the other. */
const leastMs = 20;

async function queueUp(
	command: string,
	descriptor: number,
	deadline: number,
	flock: Flock,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	signal?.throwIfAborted();
	// Where no child can be started that is known sooner than any timer fires.
	if (timeLeft(deadline) <= 0) return false;
	const began = performance.now();
	const child = start(command, descriptor);
	if (child === undefined) return tryNowAndThen(descriptor, deadline, flock, signal);
	let woken = false;
	let said = false;
	try {
		woken = await wakeable(deadline, signal, wake => {
			child.on('error', wake);
			child.stdin?.on('error', wake);
			child.stdout?.on('error', wake).on('end', wake);
			child.stdout?.on('data', () => {
				said = true;
				wake();
			});
		});
	} finally {
		// The shell that is left after a grant does no harm, and to end it takes time that we want to serve in.
		if (woken) setTimeout(end, leastMs, child);
		else end(child);
	}
	const elapsed = performance.now() - began;
	if (woken && !said) {
		if (verbose.length > 0 && child.pid !== undefined && elapsed < usageMs) verbose = [];
		else if (elapsed < leastMs) {
			await wakeable(performance.now() + Math.min(leastMs - elapsed, timeLeft(deadline)), signal, () => {});
		}
	}
	return woken;
}

/** `undefined` where none may be started: Node's permission model and seccomp filters can forbid it. */
function start(command: string, descriptor: number): ChildProcess | undefined {
	try {
		return process.getBuiltinModule('node:child_process').spawn('/bin/sh', ['-c', script, command, ...verbose], {
			stdio: ['pipe', 'pipe', 'ignore', descriptor],
			// A group of its own: to be ended as one, and no Ctrl-C of the terminal reaches it.
			detached: true,
		});
	} catch {
		return undefined;
	}
}

function end(child: ChildProcess): void {
	child.stdin?.destroy();
	child.stdout?.destroy();
	child.unref();
	try {
		// Not killed: the shell has yet to wait for flock(1).
		if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
	} catch {
		// Gone already.
	}
}

async function tryNowAndThen(
	descriptor: number,
	deadline: number,
	flock: Flock,
	signal: AbortSignal | undefined,
): Promise<boolean> {
	const {default: pRetry, AbortError} = await import('p-retry');
	const busy = new Error('busy');
	const attempt = (): void => {
		let granted: boolean;
		try {
			granted = flock(descriptor);
		} catch (error) {
			throw new AbortError(error as Error);
		}
		if (!granted) throw busy;
	};
	try {
		await pRetry(attempt, {
			retries: Number.POSITIVE_INFINITY,
			minTimeout: 2,
			factor: 1.3,
			maxTimeout: 50,
			randomize: true,
			maxRetryTime: timeLeft(deadline),
			...(signal === undefined ? {} : {signal}),
		});
		return true;
	} catch (error) {
		if (error === busy) return false;
		throw error;
	}
}
