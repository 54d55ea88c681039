/**
 * Whether this process is one of a cluster, where the primary binds for its workers.
 */

import type {Cluster} from 'node:cluster';

/** A worker has a channel to its primary; without one, `node:cluster` need not even be loaded. */
export function isClusterWorker(): boolean {
	return process.send !== undefined && cluster().isWorker;
}

export function bindsForWorkers(): boolean {
	const {isPrimary, workers} = cluster();
	return isPrimary && Object.keys(workers ?? {}).length > 0;
}

function cluster(): Cluster {
	// Its type is that of an ES module, the value is not.
	return process.getBuiltinModule('node:cluster') as unknown as Cluster;
}
