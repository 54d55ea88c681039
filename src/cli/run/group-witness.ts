/**
 * Finds out whether a signal was sent to bindlock alone or to its whole process group, as by Ctrl-C.
 * The command has received a signal of the group already, and many servers take a second SIGINT as
 * an order to exit at once.
 *
 * Node does not report the sender of a signal. So a shell in the same process group echoes empty
 * lines until a signal ends it. The kernel signals the newest process of a group first
 * (`attach_pid` and `__kill_pgrp_info`). Hence, when bindlock receives a signal of the group, it is
 * pending for the shell already, and ends the shell before it can echo another line, however long
 * either takes to be scheduled. A second signal that follows within milliseconds, before a new shell runs, has no witness
 * and is forwarded.
 *
 * To leave SIGINT and SIGQUIT to the terminal instead is not enough. `docker stop` may send them to
 * a bindlock on a terminal alone (STOPSIGNAL), and `kill %1` sends SIGTERM to the whole group.
 */
import type {ChildProcess} from 'node:child_process';

/** Ends when bindlock has ended and closed the pipe. SIGQUIT needs a trap: bash ignores it, and other shells dump core. */
const script = 'trap "exit 131" QUIT; while read -r line; do echo; done';

/** The longest delay of a signal if the shell does not answer, for example because it is stopped. */
const patienceMs = 1000;

export class GroupWitness {
	#shell: ChildProcess | undefined;
	/** Callers that wait until the shell echoes their line or ends, oldest first. */
	#waiting: (() => void)[] = [];
	/** The last end of a shell by a signal. This process may learn of it before it learns of the signal. */
	#end: {readonly signal: NodeJS.Signals; readonly at: number} | undefined;

	start(): void {
		const shell: ChildProcess = process
			.getBuiltinModule('node:child_process')
			.spawn('/bin/sh', ['-c', script], {stdio: ['pipe', 'pipe', 'ignore'], cwd: '/'});
		this.#shell = shell;
		shell.on('error', () => this.#ended(shell, null));
		shell.on('exit', (code, signal) => this.#ended(shell, code === 131 ? 'SIGQUIT' : signal));
		shell.stdin?.on('error', () => {});
		shell.stdout
			?.on('error', () => {})
			.on('data', (lines: Buffer) => {
				for (const _ of lines) this.#waiting.shift()?.();
			});
		// Neither keeps bindlock alive.
		shell.unref();
		(shell.stdout as unknown as {unref(): void} | null)?.unref();
	}

	stop(): void {
		const shell = this.#shell;
		this.#shell = undefined;
		shell?.stdin?.destroy();
		shell?.stdout?.destroy();
		for (const resolve of this.#waiting.splice(0)) resolve();
	}

	/** Returns whether the whole group received a signal that this process has just received. */
	async received(signal: NodeJS.Signals): Promise<boolean> {
		await this.#echo();
		const end = this.#end;
		if (end?.signal !== signal || performance.now() - end.at > patienceMs) return false;
		this.#end = undefined;
		return true;
	}

	#echo(): Promise<void> {
		const shell = this.#shell;
		if (shell === undefined) return Promise.resolve();
		return new Promise(resolve => {
			const timer = setTimeout(resolve, patienceMs);
			this.#waiting.push(() => {
				clearTimeout(timer);
				resolve();
			});
			shell.stdin?.write('\n');
		});
	}

	#ended(shell: ChildProcess, signal: NodeJS.Signals | null): void {
		if (this.#shell !== shell) return;
		if (signal !== null) this.#end = {signal, at: performance.now()};
		this.stop();
		if (signal !== null) this.start();
	}
}
