/**
 * Starts other processes in tests. Each prints events as lines of JSON, and waits for events have deadlines. No process
 * outlives its test. The programs end with their standard input, so they also end if the test run crashes.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {isLate, withDeadline} from './deadlines.js';

export interface Event {
	readonly event: string;
	readonly [field: string]: unknown;
}

export interface StartOptions {
	/** The executable; default: the current Node. */
	readonly executable?: string;
	readonly nodeOptions?: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	readonly cwd?: string;
	/** The user to run as (needs root). */
	readonly uid?: number;
	/** A command to run the executable with, for example `unshare --net`. */
	readonly before?: readonly string[];
}

export class Program {
	readonly #child: ChildProcess;
	readonly #events: Event[] = [];
	readonly #errors: string[] = [];
	readonly exited: Promise<{readonly code: number | null; readonly signal: NodeJS.Signals | null}>;
	#waiting: (() => void)[] = [];
	#ended = false;

	constructor(command: string, args: readonly string[], options: StartOptions = {}) {
		const setpriv =
			options.uid === undefined
				? []
				: ['setpriv', `--reuid=${options.uid}`, `--regid=${options.uid}`, '--clear-groups'];
		const [first = command, ...rest] = [...(options.before ?? []), ...setpriv, command, ...args];
		this.#child = spawn(first, rest, {
			stdio: ['pipe', 'pipe', 'pipe'],
			env: {...process.env, ...options.env},
			...(options.cwd === undefined ? {} : {cwd: options.cwd}),
		});
		this.#child.stdin?.on('error', () => {});
		this.#child.on('error', error => this.#errors.push(String(error)));
		this.#child.stderr?.on('data', chunk => this.#errors.push(String(chunk)));
		const lines = createInterface({input: this.#child.stdout as NonNullable<ChildProcess['stdout']>});
		lines.on('line', line => {
			this.#events.push(parse(line));
			this.#announce();
		});
		this.exited = once(this.#child, 'close').then(([code, signal]) => {
			this.#ended = true;
			this.#announce();
			return {code: code as number | null, signal: signal as NodeJS.Signals | null};
		});
	}

	#arrival(): Promise<void> {
		return new Promise(resolve => this.#waiting.push(resolve));
	}

	#announce(): void {
		for (const resolve of this.#waiting.splice(0)) resolve();
	}

	get pid(): number {
		return this.#child.pid ?? -1;
	}

	get stderr(): string {
		return this.#errors.join('');
	}

	/** Returns the next event without consuming it. */
	async peek(): Promise<Event> {
		const began = performance.now();
		for (;;) {
			const [first] = this.#events;
			if (first !== undefined) return first;
			if (this.#ended) throw new Error(`process ${this.pid} ended without a word; stderr: ${this.stderr}`);
			if (isLate(began)) {
				const elapsedMs = Math.round(performance.now() - began);
				throw new Error(`process ${this.pid} said nothing for ${elapsedMs} ms; stderr: ${this.stderr}`);
			}
			await withDeadline(this.#arrival()).catch(() => {});
		}
	}

	/** Returns the next event. */
	async next(): Promise<Event> {
		const first = await this.peek();
		this.#events.shift();
		return first;
	}

	/** Returns the next event, which must have this name. */
	async expect(event: string): Promise<Event> {
		const next = await this.next();
		if (next.event !== event)
			throw new Error(`expected "${event}", got ${JSON.stringify(next)}; stderr: ${this.stderr}`);
		return next;
	}

	send(line: string): void {
		this.#child.stdin?.write(`${line}\n`);
	}

	/** Closes standard input, which ends the fixture. */
	end(): void {
		this.#child.stdin?.end();
	}

	signal(signal: NodeJS.Signals): void {
		if (!this.#ended) this.#child.kill(signal);
	}

	/** Sends SIGKILL and waits for the end of the process. */
	async kill(): Promise<void> {
		this.signal('SIGKILL');
		await this.exited;
	}
}

/** Starts a program of test/fixtures. */
export function start(
	t: ExecutionContext,
	fixture: string,
	args: readonly string[] = [],
	options: StartOptions = {},
): Program {
	const path = fileURLToPath(new URL(`../fixtures/${fixture}.js`, import.meta.url));
	return startCommand(
		t,
		options.executable ?? process.execPath,
		[...(options.nodeOptions ?? []), path, ...args],
		options,
	);
}

/** Starts any program. Lines that are not JSON become events named 'line'. */
export function startCommand(
	t: ExecutionContext,
	command: string,
	args: readonly string[],
	options: StartOptions = {},
): Program {
	const program = new Program(command, args, options);
	t.teardown(() => program.kill());
	return program;
}

/** Makes a directory until the test ends. Its name is short, because socket paths have at most 107 bytes. */
export function temporaryDirectory(t: ExecutionContext, parent: string = tmpdir()): string {
	const directory = mkdtempSync(join(parent, 'bl-'));
	t.teardown(() => rmSync(directory, {recursive: true, force: true}));
	return directory;
}

/** The reason to skip a test that needs root, or `undefined`. */
export const notRoot: string | undefined = process.geteuid?.() === 0 ? undefined : 'needs root';

function parse(line: string): Event {
	try {
		const value: unknown = JSON.parse(line);
		if (typeof value === 'object' && value !== null && 'event' in value) return value as Event;
	} catch {}
	return {event: 'line', line};
}

/** Returns a PATH on which flock(1) is this shell script. */
export function fakeFlock(t: ExecutionContext, script: string): string {
	const directory = temporaryDirectory(t);
	writeFileSync(join(directory, 'flock'), `#!/bin/sh\n${script}\n`);
	chmodSync(join(directory, 'flock'), 0o755);
	return `${directory}:${process.env['PATH']}`;
}
