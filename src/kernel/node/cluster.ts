/**
 * Whether this process is part of a `node:cluster`, in which the primary binds for its workers.
 */
import type {Cluster} from 'node:cluster';

/** Does not load `node:cluster` in a process without a parent's channel, which cannot be a worker. */
export function isClusterWorker(): boolean {
	return process.send !== undefined && cluster().isWorker;
}

export function bindsForWorkers(): boolean {
	const {isPrimary, workers} = cluster();
	return isPrimary && Object.keys(workers ?? {}).length > 0;
}

function cluster(): Cluster {
	// The declared type is of the ES module; getBuiltinModule returns its default export.
	return process.getBuiltinModule('node:cluster') as unknown as Cluster;
}
