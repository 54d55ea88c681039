/**
 * Worker threads.
 */

/**
 * Whether this is a worker thread whose descriptors, and so its locks, outlive it. Node and Deno close them at its end,
 * Bun with the process, and it emits no event in a worker that is terminated (measured on Bun 1.4). Only an experiment
 * with a worker could show it, so this asks for Bun.
 */
export function descriptorsOutliveThread(): boolean {
	return 'Bun' in globalThis && !process.getBuiltinModule('node:worker_threads').isMainThread;
}
