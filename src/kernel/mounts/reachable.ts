/**
 * Access to files of other processes that never waits for a filesystem that hangs.
 */
import {type BigIntStats, constants, fstatSync} from 'node:fs';
import {oPath, withOpen} from '../files/opening.js';
import {lookUp} from '../proc/procfs.js';
import {type Mount, mountIdOf} from './mount-table.js';
import {PathWalk, type Reached} from './path-walk.js';

export interface ReachOptions {
	/** {@link Mount.device} of mounts that count as safe whatever their type: the user has named them. */
	readonly devices?: readonly string[];
	/** Whether a symbolic link in the last component is followed; default true. */
	readonly follow?: boolean;
}

/**
 * Returns the path by which this process reaches a path of another process, without symbolic links.
 *
 * @param pid `'self'`: this process
 * @param path if relative, from the working directory of that process
 * @returns a path also if no file is there; `undefined` if it leads onto a mount that may hang, or cannot be resolved
 */
export function reachable(pid: number | 'self', path: string, options: ReachOptions = {}): string | undefined {
	return withReached(pid, path, options, reached => reached.path);
}

/** Returns the status of the file; `undefined` if no file is there, or as of {@link reachable}. */
export function statReachable(pid: number | 'self', path: string, options: ReachOptions = {}): BigIntStats | undefined {
	return withReached(pid, path, options, ({descriptor}) =>
		descriptor === undefined ? undefined : fstatSync(descriptor, {bigint: true}),
	);
}

/** Calls `use` with the file if it is reachable, and closes its descriptor afterwards. */
export function withReached<Result>(
	pid: number | 'self',
	path: string,
	options: ReachOptions,
	use: (reached: Reached) => Result,
): Result | undefined {
	if (oPath === undefined) return undefined;
	const walk = new PathWalk(pid, options.devices ?? []);
	try {
		return lookUp(() => {
			const reached = walk.to(path, options.follow ?? true);
			return reached && use(reached);
		});
	} finally {
		walk.close();
	}
}

/** Returns the status of an entry of a reached directory, unless it is a mount point. A symbolic link is not followed. */
export function statInside(directory: number, name: Buffer): BigIntStats | undefined {
	const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
	return lookUp(() =>
		withOpen(path, (oPath ?? 0) | constants.O_NOFOLLOW, descriptor =>
			mountIdOf(descriptor) === mountIdOf(directory) ? fstatSync(descriptor, {bigint: true}) : undefined,
		),
	);
}
