/**
 * Whether a server may be bound to a socket file by another view of its directory.
 *
 * Through a FUSE or network mount, and in an overlay and its layers, the same file has several inodes. A server that is
 * bound by one of them refuses connections by the others although it is alive, and flock does not join them.
 */
import {closeSync, constants, fstatSync, openSync} from 'node:fs';
import {dirname} from 'node:path';
import {codeOf} from '../../model/errors.js';
import {isSameFile} from '../../model/file-identity.js';
import type {Place} from '../../model/system.js';
import {printable} from '../../model/text.js';
import {oPath} from '../files/opening.js';
import {inPieces} from '../interruptible.js';
import {layersOf, mayHang, mountOfText} from '../mounts/hanging-mounts.js';
import {filesystemOf, type Mount, mountIdOf, mountOfDescriptor, mountsOf, mountWithId} from '../mounts/mount-table.js';
import {overlayAbove} from '../mounts/overlay-layers.js';
import {statReachable} from '../mounts/reachable.js';
import {uidOf} from '../proc/processes.js';
import {linkOrUndefined} from '../proc/procfs.js';
import {candidates} from './pathname-owners.js';
import {ownersOf} from './socket-owners.js';
import {readSocketFiles} from './ss.js';
import type {SocketRow} from './unix-sockets.js';

const oneView: Place = {isMountPoint: false};

/** @param holderHasEnded as of `System.placeOf` */
export async function placeOf(path: string, holderHasEnded: boolean): Promise<Place> {
	if (oPath === undefined) return oneView;
	const directory = openSync(dirname(path), oPath);
	let file: number | undefined;
	try {
		file = openIfThere(path, oPath);
		if (file === undefined) return oneView;
		const id = mountIdOf(directory);
		if (mountIdOf(file) !== id) return {isMountPoint: true};
		// Fast path: the usual case after a crash.
		const rows = (await inPieces(candidates(path))).slice(0, maxRivals);
		if (holderHasEnded && rows.length === 0) return oneView;
		const {uid, mtimeMs: modifiedMs} = fstatSync(file);
		const mount = mountWithId(id);
		// In a chroot the list may lack the mount.
		if (mount === undefined) return placeByType(dirname(path), holderHasEnded);
		const why = holderHasEnded ? undefined : await otherViewOf(directory, uid, mount);
		const isDoubtful = why !== undefined || mayHang(mount.type);
		const otherView = (await rivalElsewhere(rows, {path, uid, modifiedMs, mount, isDoubtful})) ?? why;
		return otherView === undefined ? oneView : {isMountPoint: false, otherView};
	} finally {
		closeSync(directory);
		if (file !== undefined) closeSync(file);
	}
}

/**
 * Explains why a server in this directory may have other views.
 *
 * @param path of a directory in which no server is bound yet
 */
export async function otherViewOfDirectory(path: string): Promise<string | undefined> {
	if (oPath === undefined) return undefined;
	const directory = openSync(path, oPath);
	try {
		const mount = mountOfDescriptor(directory);
		return mount && (await otherViewOf(directory, process.geteuid?.() ?? 0, mount));
	} finally {
		closeSync(directory);
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

const otherMount =
	'a server that uses this directory by another mount, or on another machine, refuses connections from here';

function placeByType(directory: string, holderHasEnded: boolean): Place {
	const {type} = filesystemOf(directory);
	if (holderHasEnded || !mayHang(type)) return oneView;
	return {isMountPoint: false, otherView: `it is on ${type}, and ${otherMount}`};
}

async function otherViewOf(directory: number, uid: number, mount: Mount): Promise<string | undefined> {
	// A filesystem that is not the kernel's own shows files of another filesystem or machine.
	if (mayHang(mount.type)) {
		return `it is on ${mount.type}, mounted at ${printable(mount.mountPoint)}, and ${otherMount}`;
	}
	const overlay = await overlayAbove(directory, uid, mount);
	return (
		overlay &&
		`its directory is in the upper layer of the overlay mounted at ${printable(overlay.mountPoint)}, and a server in that overlay refuses connections from here`
	);
}

/** The most sockets with the same last path component that are examined. */
const maxRivals = 256;

interface OurFile {
	readonly path: string;
	/** Of its owner. */
	readonly uid: number;
	readonly modifiedMs: number;
	readonly mount: Mount;
	/** Whether its directory may have other views. */
	readonly isDoubtful: boolean;
}

/**
 * Looks for a live socket with the same last path component on another mount.
 *
 * It counts if it is bound to our file in a layer of our overlay; or if it may be, on a mount that shows other files, or
 * because our mount does. In the second case only sockets of root and of the owner of the file count: every other user
 * could so keep a crashed server from starting again.
 *
 * @returns the explanation
 */
async function rivalElsewhere(rows: readonly SocketRow[], our: OurFile): Promise<string | undefined> {
	if (rows.length === 0) return undefined;
	const files = await readSocketFiles();
	const owners = await inPieces(ownersOf(new Set(rows.map(({inode}) => inode))));
	const isTrusted = (pid: number): boolean => [our.uid, 0].includes(uidOf(pid) ?? -1);
	for (const row of rows) {
		const all = owners.get(row.inode) ?? [];
		const owner = all.find(({pid}) => isTrusted(pid)) ?? all[0];
		const mount = owner && mountOfRow(row, owner.pid, files.get(row.inode)?.device);
		if (owner === undefined || mount === undefined || mount.device === our.mount.device) continue;
		const isSame = isInLayer(owner.pid, row.path, our);
		if (!isSame && !(isTrusted(owner.pid) && mayBeSame(owner.pid, row.path, mount, our))) continue;
		return `process ${owner.pid} is bound to ${printable(row.path)} on another mount, which ${isSame ? 'is' : 'may be'} the same file`;
	}
	return undefined;
}

/** @param device as `ss` shows it; without it the path decides */
function mountOfRow({path}: SocketRow, pid: number, device: string | undefined): Mount | undefined {
	const mounts = mountsOf(pid);
	if (device !== undefined) return [...mounts, ...mountsOf('self')].find(each => each.device === device);
	const directory = path.startsWith('/') ? '' : `${linkOrUndefined(`/proc/${pid}/cwd`)}/`;
	return mountOfText(`${directory}${path}`, mounts);
}

/** Whether the file of that process is our file, in a layer of our overlay. */
function isInLayer(pid: number, theirPath: string, {path, mount}: OurFile): boolean {
	if (mount.type !== 'overlay') return false;
	const found = statReachable(pid, theirPath);
	if (found === undefined) return false;
	const inside = path.slice(mount.mountPoint === '/' ? 0 : mount.mountPoint.length);
	return layersOf(mount).some(layer => {
		const below = statReachable('self', `${layer}${inside}`);
		return below !== undefined && isSameFile(below, found);
	});
}

function mayBeSame(pid: number, theirPath: string, mount: Mount, {isDoubtful, modifiedMs}: OurFile): boolean {
	if (mayHang(mount.type)) return true;
	if (!isDoubtful) return false;
	// A file has the same modification time in each view. Some views show it in seconds.
	const found = statReachable(pid, theirPath);
	return found === undefined || Math.abs(Number(found.mtimeMs) - modifiedMs) <= 2000;
}
