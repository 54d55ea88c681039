/**
 * Runs the command `bindlock` in tests.
 */
import {spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {patienceMs, until, withDeadline} from './deadlines.js';
import {type Program, type StartOptions, startCommand} from './programs.js';

/** The published bundle, or the file in `BINDLOCK_TEST_COMMAND`, for example build/src/cli/main.js. */
export const cli: string = resolve(
	process.env['BINDLOCK_TEST_COMMAND'] ?? fileURLToPath(new URL('../../library/cli.cjs', import.meta.url)),
);

export interface Outcome {
	readonly status: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs bindlock and waits for its end. */
export async function bindlock(args: readonly string[], options: StartOptions = {}): Promise<Outcome> {
	return runToEnd(process.execPath, [cli, ...args], options);
}

/** Runs a command with an empty standard input, and waits for its end. */
export async function runToEnd(
	command: string,
	args: readonly string[],
	options: StartOptions & {readonly deadlineMs?: number} = {},
): Promise<Outcome> {
	const {uid} = options;
	const become = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
	const [first = command, ...rest] = [...(options.before ?? []), ...become, command, ...args];
	const child = spawn(first, rest, {
		stdio: ['ignore', 'pipe', 'pipe'],
		env: {...process.env, ...options.env},
		...(options.cwd === undefined ? {} : {cwd: options.cwd}),
	});
	let stdout = '';
	let stderr = '';
	child.stdout.setEncoding('utf8').on('data', chunk => {
		stdout += chunk;
	});
	child.stderr.setEncoding('utf8').on('data', chunk => {
		stderr += chunk;
	});
	const closed = new Promise<Outcome>((resolve, reject) => {
		child.on('error', reject);
		child.on('close', (status, signal) => resolve({status, signal, stdout, stderr}));
	});
	try {
		return await withDeadline(closed, options.deadlineMs ?? patienceMs);
	} finally {
		child.kill('SIGKILL');
	}
}

/** Starts bindlock. Its output and its command's output become events. */
export function startBindlock(t: ExecutionContext, args: readonly string[], options: StartOptions = {}): Program {
	return startCommand(t, process.execPath, [cli, ...args], options);
}

/** A command for `run` that prints its pid and lives until it is killed. */
export const lastingCommand: readonly string[] = ['sh', '-c', 'echo $$; exec sleep 300'];

/** Starts `bindlock run` with a lasting command. */
export async function startLasting(
	t: ExecutionContext,
	args: readonly string[],
	options: StartOptions = {},
): Promise<{readonly program: Program; readonly pid: number}> {
	const program = startBindlock(t, ['run', ...args, '--', ...lastingCommand], options);
	// Teardowns run in reverse order: this ends the command before bindlock, whose output it keeps open.
	const pid = Number((await program.expect('line'))['line']);
	t.teardown(() => kill(pid, 'SIGKILL'));
	return {program, pid};
}

/** Sends a signal. Ignores a process that has ended. */
export function kill(pid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(pid, signal);
	} catch {}
}

export function isAlive(pid: number): boolean {
	try {
		return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
	} catch {
		return false;
	}
}

export function gone(pid: number): Promise<void> {
	return until(() => !isAlive(pid), `the end of process ${pid}`);
}

/** Parses each line of `--json`. */
export function jsonLines(text: string): Record<string, unknown>[] {
	return text
		.split('\n')
		.filter(line => line !== '')
		.map(line => JSON.parse(line) as Record<string, unknown>);
}

/** Returns the row of `bindlock status --json` for one address. */
export async function statusOf(address: string, options: StartOptions = {}): Promise<Record<string, unknown>> {
	const {stdout} = await bindlock(['status', '--json', address], options);
	return jsonLines(stdout)[0] ?? {};
}
