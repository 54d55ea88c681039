/**
 * The open file descriptors of processes.
 */
import {type ProcessIdentity, processOf} from './processes.js';
import {linkOrUndefined, namesIn, readProc} from './procfs.js';

/** An open descriptor of a process. The start time is read after the first look at the descriptor. */
export interface ProcessDescriptor extends ProcessIdentity {
	readonly fd: number;
	/** What it refers to, as the link in /proc/<pid>/fd shows it. */
	readonly target: string;
}

/**
 * Returns the descriptors of the processes for which `matches` returns true.
 *
 * @param matches receives {@link ProcessDescriptor.target}
 */
export function* descriptorsOf(
	pids: Iterable<number>,
	matches: (target: string) => boolean,
): Generator<ProcessDescriptor> {
	for (const pid of pids) {
		for (const fd of namesIn(`/proc/${pid}/fd`)) {
			const link = `/proc/${pid}/fd/${fd}`;
			const target = linkOrUndefined(link);
			if (target === undefined || !matches(target)) continue;
			const found = {...processOf(pid), fd: Number(fd), target};
			// The pid may have been reused between the first look and the start time.
			if (linkOrUndefined(link) === target) yield found;
		}
	}
}

/** Returns a quarter of the descriptors that this process may have open; the rest is for its own files and clients. */
export function quarterOfDescriptors(): number {
	const [, limit] = /^Max open files +(\d+)/m.exec(readProc('/proc/self/limits') ?? '') ?? [];
	return limit === undefined ? Number.POSITIVE_INFINITY : Math.ceil(Number(limit) / 4);
}
