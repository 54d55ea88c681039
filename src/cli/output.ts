/**
 * Writes to standard output and standard error, in colour on a terminal.
 */
import {writeSync} from 'node:fs';
import {attempt} from '../model/attempt.js';
import {codeOf} from '../model/errors.js';
import {escaped} from '../model/text.js';
import {exit} from './exit-status.js';

/**
 * Writes a message to standard error, one line for each argument. Newlines within an argument are escaped: paths are
 * chosen by other users.
 *
 * Not by `process.stderr`, which makes a pipe or terminal non-blocking, also for the command that `bindlock run` starts.
 */
export function writeMessage(...lines: readonly string[]): void {
	// If standard error is closed or full, there is no other place to report it.
	attempt(() => writeSync(2, lines.map(line => `${escaped(line)}\n`).join('')));
}

/** Writes data to standard output. Node writes pipes, files and terminals synchronously on Linux and macOS. */
export function writeData(text: string): void {
	if (!process.stdout.listeners('error').includes(exitOnError)) process.stdout.on('error', exitOnError);
	process.stdout.write(text);
}

function exitOnError(error: Error): void {
	// Node ignores SIGPIPE. Exit as a program does that SIGPIPE ends: without a message.
	if (codeOf(error) === 'EPIPE') process.exit(128 + 13);
	writeMessage(`bindlock: cannot write to standard output: ${error.message}`);
	process.exit(exit.system);
}

/** Returns the width of the terminal, `undefined` if standard output is none. */
export function terminalColumns(): number | undefined {
	return process.stdout.isTTY ? (process.stdout.columns ?? 80) : undefined;
}

const colors: Readonly<Record<string, number>> = {
	free: 32,
	ok: 32,
	stale: 33,
	warning: 33,
	masked: 33,
	unknown: 33,
	held: 36,
	foreign: 35,
	blocked: 31,
	problem: 31,
};

/** Returns a state or level, padded, and in its colour if standard output is a terminal. */
export function colored(word: string, width: number): string {
	const color = colors[word];
	const padded = word.padEnd(width);
	return color === undefined || !wantsColor() ? padded : `\u001B[${color}m${padded}\u001B[39m`;
}

/** https://no-color.org */
function wantsColor(): boolean {
	return process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}
