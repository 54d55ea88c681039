/**
 * Standard output and standard error of the command.
 */
import {writeSync} from 'node:fs';
import {codeOf} from '../model/errors.js';
import {escaped} from '../model/text.js';

/**
 * A message of as many lines as are given: paths in it are other users' text, and make none of their own. Not by
 * `process.stderr`: that makes a pipe or terminal non-blocking, which the command that `bindlock run` starts would
 * inherit.
 */
export function writeMessage(...lines: readonly string[]): void {
	try {
		writeSync(2, lines.map(line => `${escaped(line)}\n`).join(''));
	} catch {
		// A closed or full standard error: there is nowhere to say so.
	}
}

/**
 * Data. Pipes, files and terminals are written synchronously here (`process.stdout` of Node on Linux
 * and macOS).
 */
export function writeData(text: string): void {
	if (!guarded) process.stdout.on('error', fail);
	guarded = true;
	process.stdout.write(text);
}

let guarded = false;

/** As others do: nobody reads any more, so there is nothing to say; anything else is data lost. */
function fail(error: Error): void {
	if (codeOf(error) === 'EPIPE') {
		// Node ignores SIGPIPE; whoever asks is to see the same as from a program that does not.
		process.exit(128 + 13);
	}
	writeMessage(`bindlock: cannot write to standard output: ${error.message}`);
	process.exit(71);
}

export function terminalColumns(): number | undefined {
	return process.stdout.isTTY ? (process.stdout.columns ?? 80) : undefined;
}

/** https://no-color.org */
export function wantsColor(): boolean {
	return process.stdout.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}
