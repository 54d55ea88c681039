/**
 * What /proc says of other processes.
 */
import {readFileSync} from 'node:fs';

/** The processes whose parent, or parent's parent, that is. */
export function descendants(pid: number): number[] {
	const children = readOrNothing(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
	return [...children, ...children.flatMap(descendants)];
}

export function isAlive(pid: number): boolean {
	return !/^\d+ \(.*\) Z|^$/.test(readOrNothing(`/proc/${pid}/stat`));
}

/** An empty text if the file, or the process that it is about, is not there. */
export function readOrNothing(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}
