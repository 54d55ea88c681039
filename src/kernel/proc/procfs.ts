/**
 * Reading /proc.
 *
 * A file, link or directory that is not there, or that this user may not read, is `undefined` or empty. That this
 * process has no descriptor or memory left is thrown instead: a lookup that cannot be made must not report that no
 * process is there.
 */
import {closeSync, constants, openSync, readdirSync, readlinkSync, readSync} from 'node:fs';
import {attempt} from '../../model/attempt.js';
import {codeOf} from '../../model/errors.js';
import {withOpen} from '../files/opening.js';
import {atOnce, type Interruptible} from '../interruptible.js';

/** Returns a small file, such as each one about a single process: what one read(2) gives. */
export function readProc(path: string, encoding: 'latin1' | 'utf8' = 'latin1'): string | undefined {
	return lookUp(() => withOpen(path, constants.O_RDONLY, descriptor => readSome(descriptor, encoding)));
}

/** Returns a file of any size, such as a table of the whole machine; as Latin-1, one character a byte. */
export function readProcTable(path: string): string | undefined {
	return atOnce(readTable(path));
}

/** As {@link readProcTable}. The kernel gives about 4 KB a read(2), and a table of 20,000 sockets takes milliseconds. */
export function* readTable(path: string): Interruptible<string | undefined> {
	const descriptor = lookUp(() => openSync(path, constants.O_RDONLY));
	if (descriptor === undefined) return undefined;
	try {
		let text = '';
		for (;;) {
			const part = lookUp(() => readSome(descriptor, 'latin1'));
			if (part === undefined) return undefined;
			if (part === '') return text;
			text += part;
			yield;
		}
	} finally {
		closeSync(descriptor);
	}
}

function readSome(descriptor: number, encoding: 'latin1' | 'utf8'): string {
	return buffer.toString(encoding, 0, readSync(descriptor, buffer, 0, buffer.length, null));
}

const buffer = Buffer.allocUnsafeSlow(65_536);

/** Returns the names in a directory; none if it cannot be read. */
export function namesIn(directory: string): string[] {
	return lookUp(() => readdirSync(directory)) ?? [];
}

/** Returns the text of a symbolic link, which needs no descriptor. */
export function linkOrUndefined(path: string): string | undefined {
	return attempt(() => readlinkSync(path));
}

/** Returns what the action finds; `undefined` if it throws, unless that is because no descriptor or memory is left. */
export function lookUp<Result>(action: () => Result): Result | undefined {
	try {
		return action();
	} catch (error) {
		if (['EMFILE', 'ENFILE', 'ENOMEM'].includes(codeOf(error))) throw error;
		return undefined;
	}
}
