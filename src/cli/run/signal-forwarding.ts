/**
 * Forwards signals from bindlock to its command, so that a supervisor can treat the two as one process.
 */
import {statFields} from '../../kernel/proc/processes.js';
import type {CommandProcess} from './command-process.js';
import {GroupWitness} from './group-witness.js';

/**
 * Not SIGTSTP: Ctrl-Z must stop bindlock too, because the shell waits for its job to stop. The
 * terminal sends it to the whole process group.
 */
const forwardedSignals = [
	'SIGHUP',
	'SIGINT',
	'SIGQUIT',
	'SIGTERM',
	'SIGUSR1',
	'SIGUSR2',
	'SIGWINCH',
	'SIGCONT',
] as const;

/** Signals that a command may receive twice without harm. */
const idempotentSignals: readonly string[] = ['SIGWINCH', 'SIGCONT'];

type Signalled = Pick<CommandProcess, 'signal'>;

/** Once constructed, no forwarded signal ends bindlock: bindlock ends when the command does. */
export class SignalForwarding {
	/** Only with a terminal: without one, programs that signal the whole group do so on purpose. */
	readonly #witness: GroupWitness | undefined = hasTerminal() ? new GroupWitness() : undefined;
	/** Signals that arrived before the command was started. */
	readonly #early: NodeJS.Signals[] = [];
	#command: Signalled | undefined;

	constructor() {
		for (const signal of forwardedSignals) process.on(signal, this.#forward);
	}

	start(command: Signalled): void {
		this.#command = command;
		this.#witness?.start();
		for (const signal of this.#early) command.signal(signal);
	}

	stop(): void {
		for (const signal of forwardedSignals) process.off(signal, this.#forward);
		this.#witness?.stop();
	}

	readonly #forward = async (signal: NodeJS.Signals): Promise<void> => {
		if (this.#command === undefined) {
			this.#early.push(signal);
			return;
		}
		const isForGroup =
			this.#witness !== undefined && !idempotentSignals.includes(signal) && (await this.#witness.received(signal));
		if (!isForGroup) this.#command.signal(signal);
	};
}

/** Field 7 of proc(5) stat, `tty_nr`, is 0 without a controlling terminal. */
function hasTerminal(): boolean {
	return (statFields('self')?.[4] ?? '0') !== '0';
}
