/**
 * Overlays, seen from below: what is bound in one makes a file in its upper layer, where connecting to it is refused.
 */
import {statSync} from 'node:fs';
import {dirname} from 'node:path';
import {breather} from '../deadline.js';
import {allProcesses, linkOrUndefined, uidOf} from '../procfs.js';
import {mountOfText} from './mount-liveness.js';
import {type Mount, mountsOf, overlaysOf} from './mount-table.js';
import {statReachable} from './path-walk.js';

/**
 * The overlay that has this directory in its upper layer: there, and not in the lower ones, is what is bound in an
 * overlay. In any mount namespace in which the owner of the file or root has a process: others may mount what they like
 * in one of their own, and could keep a crashed server from coming back by it.
 */
export async function overlayAbove(directory: number, uid: number, mount: Mount): Promise<Mount | undefined> {
	const path = linkOrUndefined(`/proc/self/fd/${directory}`);
	if (path === undefined) return undefined;
	const above = [path];
	while (above.at(-1) !== '/' && above.at(-1) !== '.') above.push(dirname(above.at(-1) ?? '/'));
	const breathe = breather();
	for (const pid of oneOfEachMountNamespace(uid)) {
		await breathe();
		const overlays = overlaysOf(pid);
		const mounts = overlays.length === 0 ? [] : mountsOf(pid);
		const seen = new Set<string>();
		for (const overlay of overlays) {
			const upper = upperOf(overlay);
			if (upper === undefined || seen.has(upper)) continue;
			seen.add(upper);
			await breathe();
			// A layer is named as it was given to mount(2): from its directory of then, or in another root.
			if (pid === 'self' && isAmong(upper, above)) return overlay;
			// A layer is on the filesystem of what is in it.
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
	return above.some(path => {
		try {
			const {dev, ino} = statSync(path, {bigint: true});
			return dev === found.dev && ino === found.ino;
		} catch {
			return false;
		}
	});
}

function* oneOfEachMountNamespace(uid: number): Generator<number | 'self'> {
	yield 'self';
	const seen = new Set([linkOrUndefined('/proc/self/ns/mnt')]);
	for (const pid of allProcesses()) {
		if (![uid, 0].includes(uidOf(pid) ?? -1)) continue;
		const namespace = linkOrUndefined(`/proc/${pid}/ns/mnt`);
		if (namespace === undefined || seen.has(namespace)) continue;
		seen.add(namespace);
		yield pid;
	}
}
