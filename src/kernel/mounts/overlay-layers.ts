/**
 * Overlays, seen from their layers: bind(2) in an overlay makes a file in its upper layer, where connecting is refused.
 */
import {statSync} from 'node:fs';
import {dirname} from 'node:path';
import {attempt} from '../../model/attempt.js';
import {isSameFile} from '../../model/file-identity.js';
import {breather} from '../deadline.js';
import {allProcesses, uidOf} from '../proc/processes.js';
import {linkOrUndefined} from '../proc/procfs.js';
import {mountOfText} from './hanging-mounts.js';
import {type Mount, mountsOf, overlaysOf} from './mount-table.js';
import {statReachable} from './reachable.js';

/**
 * Returns the overlay that has this directory in its upper layer; the lower layers get no new files.
 *
 * Only mount namespaces in which root or the owner of the file has a process count. Every other user can mount overlays
 * in a namespace of their own, and could so keep a crashed server from starting again.
 *
 * @param uid of the owner of the file
 */
export async function overlayAbove(directory: number, uid: number, mount: Mount): Promise<Mount | undefined> {
	const path = linkOrUndefined(`/proc/self/fd/${directory}`);
	if (path === undefined) return undefined;
	const above = [path];
	while (above.at(-1) !== '/' && above.at(-1) !== '.') above.push(dirname(above.at(-1) ?? '/'));
	const breathe = breather();
	for (const pid of oneOfEachMountNamespace(uid)) {
		await breathe();
		if (pid === undefined) continue;
		const overlays = overlaysOf(pid);
		const mounts = overlays.length === 0 ? [] : mountsOf(pid);
		const seen = new Set<string>();
		for (const overlay of overlays) {
			const upper = upperOf(overlay);
			if (upper === undefined || seen.has(upper)) continue;
			seen.add(upper);
			await breathe();
			// The text of a layer is as given to mount(2): perhaps relative to the directory of then, or in another root.
			if (pid === 'self' && isAmong(upper, above)) return overlay;
			// A directory is on the same filesystem as the layer that contains it.
			if (mountOfText(upper, mounts)?.device === mount.device && isInodeAmong(pid, upper, above)) return overlay;
		}
	}
	return undefined;
}

function upperOf({superOptions}: Mount): string | undefined {
	return superOptions.find(option => option.startsWith('upperdir='))?.slice('upperdir='.length);
}

function isAmong(layer: string, above: readonly string[]): boolean {
	if (layer.startsWith('/')) return above.includes(layer);
	return above.some(path => path.endsWith(`/${layer.replace(/^\.\//, '')}`));
}

function isInodeAmong(pid: number | 'self', layer: string, above: readonly string[]): boolean {
	const found = statReachable(pid, layer);
	if (found === undefined) return false;
	return above.some(path => attempt(() => isSameFile(statSync(path, {bigint: true}), found)));
}

/** Yields `undefined` for each process that does not count, so that its caller can let other work come first. */
function* oneOfEachMountNamespace(uid: number): Generator<number | 'self' | undefined> {
	yield 'self';
	const seen = new Set([linkOrUndefined('/proc/self/ns/mnt')]);
	for (const pid of allProcesses()) {
		yield undefined;
		if (![uid, 0].includes(uidOf(pid) ?? -1)) continue;
		const namespace = linkOrUndefined(`/proc/${pid}/ns/mnt`);
		if (namespace === undefined || seen.has(namespace)) continue;
		seen.add(namespace);
		yield pid;
	}
}
