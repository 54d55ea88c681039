/**
 * Queries the kernel layer about a path.
 */
import {NodeSystem} from '../../src/kernel/node-system.js';
import {boundTo} from '../../src/kernel/sockets/pathname-owners.js';
import type {Bound, FileStatus} from '../../src/model/system.js';

export function fileStatusOf(path: string): FileStatus {
	const found = new NodeSystem('').lstat(path);
	if (found === undefined) throw new Error(`nothing at ${path}`);
	return found;
}

export async function boundAt(path: string): Promise<Bound | undefined> {
	return boundTo(path, fileStatusOf(path), 'possible');
}
