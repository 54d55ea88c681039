/**
 * The context of a benchmark: its directories, its time, and programs that end with it.
 */
import {fileURLToPath} from 'node:url';
import {Program, type StartOptions} from '../../test/helpers/programs.js';
import type {Places} from './places.js';
import type {Outcome} from './results.js';

export type Benchmark = (context: Context) => Promise<Outcome>;

export class Context {
	readonly quick: boolean;
	readonly places: Places;
	readonly #name: string;
	readonly #programs: Set<Program> = new Set();
	#shownAt = 0;

	constructor(name: string, quick: boolean, places: Places) {
		this.#name = name;
		this.quick = quick;
		this.places = places;
	}

	/** Starts a program of `bench/programs`, which reports each event as a line of JSON. */
	start(name: string, args: readonly string[], options: StartOptions = {}): Program {
		const path = fileURLToPath(new URL(`../programs/${name}.js`, import.meta.url));
		return this.startCommand(
			options.executable ?? process.execPath,
			[...(options.nodeOptions ?? []), path, ...args],
			options,
		);
	}

	startCommand(command: string, args: readonly string[], options: StartOptions = {}): Program {
		const program = new Program(command, args, options);
		this.#programs.add(program);
		void program.exited.then(() => this.#programs.delete(program));
		return program;
	}

	/** Kills the programs that still run. */
	async end(): Promise<void> {
		await Promise.all([...this.#programs].map(program => program.kill()));
	}

	progress(done: number, of: number, what: string): void {
		const now = performance.now();
		if (now - this.#shownAt < (process.stderr.isTTY ? 100 : 5000) && done < of) return;
		this.#shownAt = now;
		const line = `${this.#name}: ${what}, ${done} of ${of}`;
		process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
	}
}

export function sleep(milliseconds: number): Promise<void> {
	return new Promise(resolve => setTimeout(resolve, milliseconds));
}
