/**
 * Reading /proc.
 *
 * A file, link or directory that is not there, or that this user may not read, is `undefined` or empty. That this
 * process has no descriptor or memory left is thrown instead: a lookup that cannot be made must not report that no
 * process is there.
 */
import {closeSync, openSync, readdirSync, readlinkSync, readSync} from 'node:fs';
import {codeOf} from '../../model/errors.js';

/** Returns a small file, such as each one about a single process: what one read(2) gives. */
export function readProc(path: string, encoding: 'latin1' | 'utf8' = 'latin1'): string | undefined {
	return withFile(path, descriptor => readSome(descriptor, encoding));
}

/** Returns a file of any size, such as a table of the whole machine; as Latin-1, one character a byte. */
export function readProcTable(path: string): string | undefined {
	return withFile(path, descriptor => {
		let text = '';
		for (let part = readSome(descriptor, 'latin1'); part !== ''; part = readSome(descriptor, 'latin1')) text += part;
		return text;
	});
}

function withFile(path: string, read: (descriptor: number) => string): string | undefined {
	let descriptor: number | undefined;
	try {
		descriptor = openSync(path, 'r');
		return read(descriptor);
	} catch (error) {
		throwIfOutOfResources(error);
		return undefined;
	} finally {
		if (descriptor !== undefined) closeSync(descriptor);
	}
}

function readSome(descriptor: number, encoding: 'latin1' | 'utf8'): string {
	return buffer.toString(encoding, 0, readSync(descriptor, buffer, 0, buffer.length, null));
}

const buffer = Buffer.allocUnsafeSlow(65_536);

/** Returns the names in a directory; none if it cannot be read. */
export function namesIn(directory: string): string[] {
	try {
		return readdirSync(directory);
	} catch (error) {
		throwIfOutOfResources(error);
		return [];
	}
}

/** Returns the text of a symbolic link, which needs no descriptor. */
export function linkOrUndefined(path: string): string | undefined {
	try {
		return readlinkSync(path);
	} catch {
		return undefined;
	}
}

/** Whether the error says that no descriptor or memory is left, and so nothing about the file. */
export function isOutOfResources(error: unknown): boolean {
	return ['EMFILE', 'ENFILE', 'ENOMEM'].includes(codeOf(error));
}

function throwIfOutOfResources(error: unknown): void {
	if (isOutOfResources(error)) throw error;
}
