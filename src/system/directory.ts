/**
 * Which directory a path leads through.
 */
import {realpathSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';

/** The path with the directory that the kernel finds; `undefined` if there is none. */
export function asKernelFinds(path: string): string | undefined {
	try {
		return join(realpathSync.native(dirname(path)), basename(path));
	} catch {
		return undefined;
	}
}
