/**
 * Whether a signal came to us alone, or to our whole process group, as Ctrl-C of a terminal does:
 * then the command has had it already, and many a server takes a second SIGINT for "at once!".
 * Node does not tell who sent a signal. So a process of the same group stands by, says what it is
 * sent, and is asked about each signal that we get: the kernel sends a signal to the newest of a
 * group first (`attach_pid` and `__kill_pgrp_info`), so what it was sent with us it says before it
 * answers, however long either takes to run.
 */
import type {ChildProcess} from 'node:child_process';

/** How long a signal is kept from the command by a process that does not answer, as when it is stopped. */
const patienceMs = 1000;

/**
 * An answer is the question. Shells differ in what a trap does to a `read`; here it may end it, or
 * not, or spoil the line. When we are gone, `read` finds the end and `echo` nobody to read.
 */
const script =
	'for s in INT QUIT TERM HUP USR1 USR2; do trap "echo SIG$s" $s; done; while :; do q=; read -r q; echo "$q" || exit; done';

export class GroupWitness {
	/** Signals of the group that this process has not got yet, or got as one with the one before. */
	#reported: {readonly signal: string; readonly at: number}[] = [];
	readonly #questions: Map<string, () => void> = new Map();
	#asked = 0;
	#child: ChildProcess | undefined;

	start(): void {
		const child = process
			.getBuiltinModule('node:child_process')
			.spawn('/bin/sh', ['-c', script], {stdio: ['pipe', 'pipe', 'ignore'], cwd: '/'});
		this.#child = child;
		child.on('error', () => this.#gone(child, null));
		child.on('exit', (_, signal) => this.#gone(child, signal));
		child.stdin?.on('error', () => {});
		let rest = '';
		child.stdout
			?.on('error', () => {})
			.on('data', chunk => {
				const lines = (rest + chunk).split('\n');
				rest = lines.pop() ?? '';
				for (const line of lines) this.#hear(line);
			});
		child.unref();
		(child.stdout as unknown as {unref(): void} | null)?.unref();
	}

	stop(): void {
		const child = this.#child;
		this.#child = undefined;
		child?.stdin?.destroy();
		child?.stdout?.destroy();
		this.#answerAll();
	}

	/** Whether the group got this signal, which this process has just got. */
	async received(signal: NodeJS.Signals): Promise<boolean> {
		await this.#ask();
		const since = performance.now() - patienceMs;
		this.#reported = this.#reported.filter(({at}) => at >= since);
		const index = this.#reported.findIndex(report => report.signal === signal);
		if (index >= 0) this.#reported.splice(index, 1);
		return index >= 0;
	}

	/** Until it has said all that it was sent before now. */
	#ask(): Promise<void> {
		if (this.#child === undefined) return Promise.resolve();
		return new Promise(resolve => {
			const question = String(++this.#asked);
			const answered = (): void => {
				clearTimeout(timer);
				this.#questions.delete(question);
				resolve();
			};
			const timer = setTimeout(answered, patienceMs);
			this.#questions.set(question, answered);
			this.#child?.stdin?.write(`${question}\n`);
		});
	}

	#hear(line: string): void {
		if (line.startsWith('SIG')) this.#reported.push({signal: line, at: performance.now()});
		else this.#questions.get(line)?.();
	}

	#answerAll(): void {
		for (const answered of [...this.#questions.values()]) answered();
	}

	/** Before its traps are set a signal ends it, which says the same. */
	#gone(child: ChildProcess, signal: NodeJS.Signals | null): void {
		if (this.#child !== child) return;
		if (signal !== null) this.#hear(signal);
		this.stop();
		if (signal !== null) this.start();
	}
}
