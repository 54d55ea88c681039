/**
 * flock(2) by the command flock(1) of util-linux or BusyBox, on an inherited descriptor.
 *
 * The lock belongs to the open file description, so this process keeps it when the command exits.
 */
import {accessSync, constants, statSync} from 'node:fs';
import {delimiter, resolve} from 'node:path';
import {codeOf} from '../../model/errors.js';
import {variable, variables} from '../node/environment.js';
import {type Flock, flockError} from './flock.js';

/** @throws an error if there is no flock(1) */
export function commandFlock(): Flock {
	const command = search();
	if (command instanceof Error) throw command;
	const {spawnSync} = process.getBuiltinModule('node:child_process');
	return (descriptor, shared) => {
		const {status, signal, stderr, error} = spawnSync(command, [shared ? '-s' : '-x', '-n', '3'], {
			stdio: ['ignore', 'ignore', 'pipe', descriptor],
			encoding: 'utf8',
			env: {...variables(), LC_ALL: 'C'},
		});
		if (status === 0) return true;
		if (error !== undefined) throw flockError(error);
		// Deno's result is empty.
		if (stderr === undefined)
			throw flockError(new Error(`${command} may not be run; Deno needs --allow-run`), 'ERR_ACCESS_DENIED');
		// On contention both implementations exit with 1 and print nothing. Any other exit is a failure.
		const message = stderr.replace(preloadMessage, '').trim();
		if (status === 1 && message === '') return false;
		throw flockError(new Error(`flock(1) failed: ${message || signal || `status ${status}`}`), codeOfMessage(message));
	};
}

/** Returns the path of flock(1), if there is one; absolute, because the working directory may change later. */
export function flockCommand(): string | undefined {
	const found = search();
	return found instanceof Error ? undefined : found;
}

/** @returns its path; the error if it is not found */
function search(): string | Error {
	let denied: unknown;
	for (const directory of (variable('PATH') ?? '/usr/bin:/bin').split(delimiter)) {
		const path = resolve(directory, 'flock');
		try {
			accessSync(path, constants.X_OK);
			if (statSync(path).isFile()) return path;
		} catch (error) {
			if (codeOf(error) === 'ERR_ACCESS_DENIED') denied ??= error;
		}
	}
	return new Error(`flock: ${denied === undefined ? 'not found in PATH' : (denied as Error).message}`);
}

/** Printed by the dynamic linker of glibc for an `LD_PRELOAD` that it cannot load. The program runs all the same. */
const preloadMessage = /^ERROR: ld\.so: object .* ignored\.$/gm;

/** Returns the code for a message of flock(1), which prints the text of `strerror(3)`. */
function codeOfMessage(message: string): string {
	if (/not supported/i.test(message)) return 'EOPNOTSUPP';
	if (/no locks available/i.test(message)) return 'ENOLCK';
	if (/not implemented/i.test(message)) return 'ENOSYS';
	return 'ERR_FLOCK_COMMAND';
}
