/**
 * Which directory a path leads through.
 */
import {realpathSync, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';

/** The path with the directory that the kernel finds; `undefined` if there is none. */
export function asKernelFinds(path: string): string | undefined {
	try {
		return join(realpathSync.native(dirname(path)), basename(path));
	} catch {
		return undefined;
	}
}

/** Whether both paths lead through the same directory. */
export function isSameDirectory(one: string, other: string): boolean {
	try {
		const [first, second] = [statSync(dirname(one)), statSync(dirname(other))];
		return first.dev === second.dev && first.ino === second.ino;
	} catch {
		return false;
	}
}
