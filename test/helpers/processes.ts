/**
 * Reads /proc about other processes.
 */
import {readFileSync} from 'node:fs';

/** Returns the children and grandchildren of a process. */
export function descendants(pid: number): number[] {
	const children = readOrNothing(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
	return [...children, ...children.flatMap(descendants)];
}

export function isAlive(pid: number): boolean {
	return !/^\d+ \(.*\) Z|^$/.test(readOrNothing(`/proc/${pid}/stat`));
}

/** Returns the text of a file, or an empty text if the file or its process does not exist. */
export function readOrNothing(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}
