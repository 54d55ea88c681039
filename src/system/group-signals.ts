/**
 * Whether a signal came to us alone, or to our whole process group, as Ctrl-C of a terminal does:
 * then the command has had it already, and many a server takes a second SIGINT for "at once!".
 * Node does not tell who sent a signal. So a process of the same group stands by, and says what it
 * is sent.
 */
import type {ChildProcess} from 'node:child_process';
import {readProc} from './procfs.js';

/** How long the other one may take to say so. */
const patienceMs = 50;

/** Each reports one signal and is replaced: shells differ in what a trap does to a `read`, but not in this. */
const script = 'for s in INT QUIT TERM HUP USR1 USR2; do trap "echo SIG$s; exit" $s; done; read -r _';

/** Only with a terminal: without one, a group gets signals from programs that know what they do. */
export function hasTerminal(): boolean {
	const [, , , , terminal = '0'] = (readProc('/proc/self/stat') ?? '').replace(/^.*\) /s, '').split(' ');
	return terminal !== '0';
}

export class GroupWitness {
	readonly #reported: Map<string, number> = new Map();
	readonly #waiting: Map<string, () => void> = new Map();
	#child: ChildProcess | undefined;

	start(): void {
		const child = process
			.getBuiltinModule('node:child_process')
			.spawn('/bin/sh', ['-c', script], {stdio: ['pipe', 'pipe', 'ignore'], cwd: '/'});
		child.on('error', () => {});
		// Before its traps are set a signal ends it, which says the same.
		child.on('exit', (_, signal) => {
			if (signal !== null) this.#report(signal);
		});
		child.stdin?.on('error', () => {});
		child.stdout?.on('error', () => {}).on('data', chunk => this.#report(String(chunk).trim()));
		child.unref();
		(child.stdout as unknown as {unref(): void} | null)?.unref();
		this.#child = child;
	}

	stop(): void {
		this.#child?.stdin?.destroy();
		this.#child?.stdout?.destroy();
	}

	/** Whether the group got this signal, which this process has just got. */
	sawToo(signal: NodeJS.Signals): Promise<boolean> {
		const reported = this.#reported.get(signal) ?? Number.NEGATIVE_INFINITY;
		this.#reported.delete(signal);
		if (performance.now() - reported < patienceMs) return Promise.resolve(true);
		return new Promise(resolve => {
			const timer = setTimeout(() => settle(false), patienceMs);
			const settle = (saw: boolean): void => {
				clearTimeout(timer);
				this.#waiting.delete(signal);
				resolve(saw);
			};
			this.#waiting.set(signal, () => settle(true));
		});
	}

	#report(signal: string): void {
		this.stop();
		this.start();
		const waiting = this.#waiting.get(signal);
		if (waiting === undefined) this.#reported.set(signal, performance.now());
		else waiting();
	}
}
