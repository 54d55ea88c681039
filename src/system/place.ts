/**
 * Whether a server may be bound to a socket file by another view of its directory: through a FUSE or network mount, or
 * beside an overlay, the same file has another inode. Connecting is refused there although the server lives, and flock
 * does not join the views.
 */
import {closeSync, constants, fstatSync, openSync, statSync} from 'node:fs';
import {dirname} from 'node:path';
import {codeOf, printable} from '../errors.js';
import type {Place} from '../protocol/calls.js';
import {candidates, ownersOf} from './bound-sockets.js';
import {layersOf, mayHang} from './hanging.js';
import {type Mount, mountIdOf, mountOfDescriptor, mountsOf} from './mounts.js';
import {allProcesses, linkOrUndefined, oPath} from './procfs.js';
import {statReachable} from './reach.js';
import {readSocketFiles} from './socket-files.js';

export async function placeOf(path: string): Promise<Place> {
	if (oPath === undefined) return {isMountPoint: false};
	const directory = openSync(dirname(path), oPath);
	let file: number | undefined;
	try {
		file = openIfThere(path, oPath);
		if (file === undefined) return {isMountPoint: false};
		if (mountIdOf(file) !== mountIdOf(directory)) return {isMountPoint: true};
		const mount = mountOfDescriptor(directory);
		if (mount === undefined) return {isMountPoint: false};
		const why = otherViewOf(directory, mount);
		const rival = await rivalElsewhere(path, fstatSync(file).uid, mount, why !== undefined);
		if (rival !== undefined) return {isMountPoint: false, otherView: {why: rival, mayBeOfHolder: why === undefined}};
		return {isMountPoint: false, ...(why === undefined ? {} : {otherView: {why, mayBeOfHolder: true}})};
	} finally {
		closeSync(directory);
		if (file !== undefined) closeSync(file);
	}
}

function openIfThere(path: string, flags: number): number | undefined {
	try {
		return openSync(path, flags | constants.O_NOFOLLOW);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return undefined;
		throw error;
	}
}

/** For a directory in which nothing is bound yet. @returns why what is bound there may have other views */
export function otherViewOfDirectory(path: string): string | undefined {
	if (oPath === undefined) return undefined;
	const directory = openSync(path, oPath);
	try {
		const mount = mountOfDescriptor(directory);
		return mount && otherViewOf(directory, mount);
	} finally {
		closeSync(directory);
	}
}

function otherViewOf(directory: number, mount: Mount): string | undefined {
	// What is not the kernel's own filesystem shows files of another one, or of another machine.
	if (mayHang(mount.type)) {
		return `it is on ${mount.type}, mounted at ${printable(mount.mountPoint)}, and a server that uses this directory by another mount, or on another machine, refuses connections from here`;
	}
	const overlay = overlayAbove(directory);
	return (
		overlay &&
		`its directory is in a layer of the overlay mounted at ${printable(overlay.mountPoint)}, and a server in there refuses connections from here`
	);
}

/** The overlay, in any mount namespace, that has this directory in a layer. */
function overlayAbove(directory: number): Mount | undefined {
	const path = linkOrUndefined(`/proc/self/fd/${directory}`);
	if (path === undefined) return undefined;
	const above = [path];
	while (above.at(-1) !== '/' && above.at(-1) !== '.') above.push(dirname(above.at(-1) ?? '/'));
	const inodes = new Set(above.map(identityOf));
	for (const pid of oneOfEachMountNamespace()) {
		for (const mount of mountsOf(pid)) {
			if (mount.type === 'overlay' && layersOf(mount).some(layer => isAmong(layer, pid, above, inodes))) return mount;
		}
	}
	return undefined;
}

/** A layer is named as it was given to mount(2): perhaps by a relative path, or seen from another root. */
function isAmong(
	layer: string,
	pid: number | 'self',
	above: readonly string[],
	inodes: ReadonlySet<string | undefined>,
): boolean {
	if (!layer.startsWith('/')) return above.some(path => path.endsWith(`/${layer.replace(/^\.\//, '')}`));
	if (above.includes(layer)) return true;
	const found = statReachable(pid, layer);
	return found !== undefined && inodes.has(`${found.dev}:${found.ino}`);
}

function identityOf(path: string): string | undefined {
	try {
		const {dev, ino} = statSync(path, {bigint: true});
		return `${dev}:${ino}`;
	} catch {
		return undefined;
	}
}

function* oneOfEachMountNamespace(): Generator<number | 'self'> {
	yield 'self';
	const seen = new Set([linkOrUndefined('/proc/self/ns/mnt')]);
	for (const pid of allProcesses()) {
		const namespace = linkOrUndefined(`/proc/${pid}/ns/mnt`);
		if (namespace === undefined || seen.has(namespace)) continue;
		seen.add(namespace);
		yield pid;
	}
}

/**
 * A live socket with the same last name that may be this very file in another view, because it is on such a mount, or
 * this one is, or it is in a layer of our overlay. Only of the user to whom the file belongs, or of root: anybody
 * else could keep a crashed server from coming back by it.
 *
 * @param uid the owner of our own file
 * @param isDoubtful whether our own file is in such a place
 */
async function rivalElsewhere(
	path: string,
	uid: number,
	ours: Mount,
	isDoubtful: boolean,
): Promise<string | undefined> {
	const rows = candidates(path);
	if (rows.length === 0) return undefined;
	const files = await readSocketFiles();
	const mounts = mountsOf('self');
	const layers = ours.type === 'overlay' ? layersOf(ours) : [];
	const owners = ownersOf(new Set(rows.map(({inode}) => inode)));
	for (const row of rows) {
		const owner = owners.get(row.inode)?.find(({pid}) => [uid, 0].includes(uidOf(pid)));
		const device = files?.get(row.inode)?.device;
		if (owner === undefined || device === undefined || device === ours.device) continue;
		const mount = [...mountsOf(owner.pid), ...mounts].find(each => each.device === device);
		const isInLayer = layers.some(layer => row.path.startsWith(`${layer}/`));
		if (!isDoubtful && !isInLayer && (mount === undefined || !mayHang(mount.type))) continue;
		return `process ${owner.pid} is bound to ${printable(row.path)} on another mount, which may be the same file`;
	}
	return undefined;
}

function uidOf(pid: number): number {
	try {
		return statSync(`/proc/${pid}`).uid;
	} catch {
		return -1;
	}
}
