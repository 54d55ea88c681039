/**
 * The processes of a command that is started anew beside its old process: `bindlock run --listen`.
 */
import {longestTimerMs, pause} from '../../kernel/deadline.js';
import type {Reloads} from '../../model/record.js';
import type {CommandEnd, CommandProcess} from './command-process.js';

/** One process of the command. */
export interface Generation extends Omit<CommandProcess, 'ready'> {
	/** Resolves when the process is ready to serve; never if it is not. */
	readonly ready: Promise<unknown>;
}

export interface GenerationLimits {
	/** How long a new process may take until it is ready. */
	readonly startTimeoutMs: number;
	/** The signal to an old process. */
	readonly stopSignal: NodeJS.Signals;
	/** How long after that signal a process is killed. */
	readonly stopTimeoutMs: number;
}

/** Signals that end most commands. */
const endingSignals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGQUIT'];

export class Generations {
	readonly #start: () => Generation | Promise<string>;
	readonly #limits: GenerationLimits;
	readonly #onChange: () => void;
	#current: Generation;
	/** Started, and not ready yet. */
	#next: Generation | undefined;
	/** The older processes, which were told to end. */
	readonly #retired: Set<Generation> = new Set();
	#begun = 0;
	#ended = 0;
	#error: string | undefined;
	#isRequested = false;
	#reloading: Promise<void> | undefined;
	#wasToldToEnd = false;

	/**
	 * @param start returns the code of the error if the command cannot be started
	 * @param onChange is called when a reload has begun or ended
	 */
	constructor(
		first: Generation,
		start: () => Generation | Promise<string>,
		limits: GenerationLimits,
		onChange: () => void,
	) {
		this.#current = first;
		this.#start = start;
		this.#limits = limits;
		this.#onChange = onChange;
	}

	/** The process that serves. */
	get current(): Generation {
		return this.#current;
	}

	get reloads(): Reloads {
		return {pid: process.pid, begun: this.#begun, ended: this.#ended, error: this.#error};
	}

	/** Starts a new process, and ends the current one when that is ready. During a reload, requests one more. */
	reload(): void {
		this.#isRequested = true;
		this.#reloading ??= this.#reloadWhileRequested();
	}

	/** SIGHUP reloads. Other signals go to all processes, but no second order to end to those that have one. */
	signal(signal: NodeJS.Signals): void {
		if (signal === 'SIGHUP') {
			this.reload();
			return;
		}
		const isEnd = endingSignals.includes(signal);
		if (isEnd) {
			this.#isRequested = false;
			this.#wasToldToEnd = true;
		}
		const retired = isEnd ? [] : this.#retired;
		for (const process of [...retired, this.#current, this.#next]) process?.signal(signal);
	}

	/** Resolves when the current process has ended, and no new one takes its place. */
	async ended(): Promise<CommandEnd> {
		for (;;) {
			const current = this.#current;
			const end = await current.exited;
			await this.#reloading;
			if (this.#current === current) return end;
		}
	}

	/**
	 * Waits for the older processes. If the current process has ended by itself, they are killed: as long as they drain,
	 * no supervisor starts the command again.
	 */
	async retiredEnded(): Promise<void> {
		const retired = [...this.#retired];
		if (!this.#wasToldToEnd) for (const process of retired) process.signal('SIGKILL');
		await Promise.all(retired.map(({exited}) => exited));
	}

	async #reloadWhileRequested(): Promise<void> {
		while (this.#isRequested) {
			this.#isRequested = false;
			this.#begun++;
			this.#onChange();
			this.#error = await this.#replaceCurrent();
			this.#ended++;
			this.#onChange();
		}
		this.#reloading = undefined;
	}

	/** @returns why the new process does not serve */
	async #replaceCurrent(): Promise<string | undefined> {
		const next = this.#start();
		if (next instanceof Promise) return `the command cannot be started (${await next})`;
		this.#next = next;
		const {startTimeoutMs} = this.#limits;
		const error = await firstOf(startTimeoutMs, next);
		this.#next = undefined;
		if (error === undefined) {
			this.#retire(this.#current);
			this.#current = next;
			return undefined;
		}
		this.#retire(next);
		await next.exited;
		return error;
	}

	#retire(process: Generation): void {
		const {stopSignal, stopTimeoutMs} = this.#limits;
		this.#retired.add(process);
		process.signal(stopSignal);
		const kill = setTimeout(() => process.signal('SIGKILL'), Math.min(stopTimeoutMs, longestTimerMs));
		void process.exited.then(() => {
			clearTimeout(kill);
			this.#retired.delete(process);
		});
	}
}

/** @returns why the process is not ready; `undefined` once it is */
async function firstOf(startTimeoutMs: number, {pid, ready, exited}: Generation): Promise<string | undefined> {
	const settled = new AbortController();
	const outcomes: Promise<string | undefined>[] = [
		ready.then(() => undefined),
		exited.then(({status, signal}) => {
			const how = signal === null ? `with status ${status}` : `by ${signal}`;
			return `process ${pid} ended ${how} before it was ready`;
		}),
		pause(startTimeoutMs, settled.signal).then(
			() => `process ${pid} was not ready within ${startTimeoutMs} ms`,
			() => undefined,
		),
	];
	try {
		return await Promise.race(outcomes);
	} finally {
		settled.abort();
	}
}
