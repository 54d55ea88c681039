/**
 * The cost of a process and its children so far, as the kernel counts it.
 */
import {readdirSync, readFileSync} from 'node:fs';

export interface Cost {
	/** Milliseconds of processor time. */
	readonly cpuMs: number;
	/** How often a thread went to sleep: voluntary context switches. */
	readonly wakeups: number;
	/** Private memory in MiB: what the system would regain without the process. */
	readonly memoryMiB: number;
}

export function costOf(pid: number): Cost {
	const costs = tree(pid).map(costOfOne);
	const sum = (key: keyof Cost): number => costs.reduce((total, cost) => total + cost[key], 0);
	return {cpuMs: sum('cpuMs'), wakeups: sum('wakeups'), memoryMiB: sum('memoryMiB')};
}

/** Returns the process and all its descendants. */
function tree(pid: number): number[] {
	const children = threads(pid)
		.flatMap(thread => readOrNothing(`/proc/${pid}/task/${thread}/children`).trim().split(' '))
		.filter(child => child !== '');
	return [pid, ...children.flatMap(child => tree(Number(child)))];
}

function costOfOne(pid: number): Cost {
	let cpuMs = 0;
	let wakeups = 0;
	for (const thread of threads(pid)) {
		const directory = `/proc/${pid}/task/${thread}`;
		cpuMs += Number(readOrNothing(`${directory}/schedstat`).split(' ', 1)[0]) / 1e6;
		wakeups += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readOrNothing(`${directory}/status`))?.[1] ?? 0);
	}
	const lines = readOrNothing(`/proc/${pid}/smaps_rollup`).matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm);
	const memoryMiB = [...lines].reduce((total, [, kilobytes]) => total + Number(kilobytes) / 1024, 0);
	return {cpuMs, wakeups, memoryMiB};
}

function threads(pid: number): string[] {
	try {
		return readdirSync(`/proc/${pid}/task`);
	} catch {
		return [];
	}
}

/** A thread may end while it is read. */
function readOrNothing(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}
