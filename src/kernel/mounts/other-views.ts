/**
 * Whether a server may be bound to a socket file by another view of its directory: through a FUSE or network mount, or
 * beside an overlay, the same file has another inode. Connecting is refused there although the server lives, and flock
 * does not join the views.
 */
import {closeSync, constants, fstatSync, openSync} from 'node:fs';
import {dirname} from 'node:path';
import {codeOf} from '../../model/errors.js';
import type {Place} from '../../model/system.js';
import {printable} from '../../model/text.js';
import {linkOrUndefined, oPath, uidOf} from '../procfs.js';
import {readSocketFiles} from '../socket-diag.js';
import {candidates, ownersOf} from '../socket-owners.js';
import type {Row} from '../unix-sockets.js';
import {layersOf, mayHang, mountOfText} from './mount-liveness.js';
import {filesystemOf, type Mount, mountIdOf, mountOfDescriptor, mountsOf, mountWithId} from './mount-table.js';
import {overlayAbove} from './overlay-layers.js';
import {statReachable} from './path-walk.js';

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
		// The usual case after a crash, in which every millisecond counts.
		const rows = candidates(path).slice(0, mostRivals);
		if (holderHasEnded && rows.length === 0) return oneView;
		const {uid, mtimeMs: modifiedMs} = fstatSync(file);
		const mount = mountWithId(id);
		// In a chroot the list may lack it.
		if (mount === undefined) return seenByType(dirname(path), holderHasEnded);
		const why = holderHasEnded ? undefined : await otherViewOf(directory, uid, mount);
		const isDoubtful = why !== undefined || mayHang(mount.type);
		const rival = await rivalElsewhere(rows, {path, uid, modifiedMs, mount, isDoubtful});
		const otherView = rival ?? why;
		return otherView === undefined ? oneView : {isMountPoint: false, otherView};
	} finally {
		closeSync(directory);
		if (file !== undefined) closeSync(file);
	}
}

function seenByType(directory: string, holderHasEnded: boolean): Place {
	const {type} = filesystemOf(directory);
	if (holderHasEnded || !mayHang(type)) return oneView;
	return {isMountPoint: false, otherView: `it is on ${type}, and ${otherMount}`};
}

const otherMount =
	'a server that uses this directory by another mount, or on another machine, refuses connections from here';

function openIfThere(path: string, flags: number): number | undefined {
	try {
		return openSync(path, flags | constants.O_NOFOLLOW);
	} catch (error) {
		if (codeOf(error) === 'ENOENT') return undefined;
		throw error;
	}
}

/** For a directory in which nothing is bound yet. @returns why what is bound there may have other views */
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

async function otherViewOf(directory: number, uid: number, mount: Mount): Promise<string | undefined> {
	// What is not the kernel's own filesystem shows files of another one, or of another machine.
	if (mayHang(mount.type)) {
		return `it is on ${mount.type}, mounted at ${printable(mount.mountPoint)}, and ${otherMount}`;
	}
	const overlay = await overlayAbove(directory, uid, mount);
	return (
		overlay &&
		`its directory is in the upper layer of the overlay mounted at ${printable(overlay.mountPoint)}, and a server in there refuses connections from here`
	);
}

interface Ours {
	readonly path: string;
	/** The owner of the file. */
	readonly uid: number;
	/** When it was made. */
	readonly modifiedMs: number;
	readonly mount: Mount;
	/** Whether it is in such a place. */
	readonly isDoubtful: boolean;
}

/**
 * A live socket with the same last name that is bound to this very file in a layer of our overlay; or that may be, on a
 * mount that shows other files, or from there. The latter only of the user to whom the file belongs, or of root: anybody
 * else could keep a crashed server from coming back by it.
 */
async function rivalElsewhere(
	rows: readonly Row[],
	{path, uid, modifiedMs, mount: ours, isDoubtful}: Ours,
): Promise<string | undefined> {
	if (rows.length === 0) return undefined;
	const files = await readSocketFiles();
	const owners = ownersOf(new Set(rows.map(({inode}) => inode)));
	for (const row of rows) {
		const all = owners.get(row.inode) ?? [];
		const owner = all.find(({pid}) => [uid, 0].includes(uidOf(pid) ?? -1)) ?? all[0];
		const theirs = owner && mountOfRow(row, owner.pid, files?.get(row.inode)?.device);
		if (owner === undefined || theirs === undefined || theirs.device === ours.device) continue;
		const isSame = isBelow(owner.pid, row.path, path, ours);
		if (!isSame && !mayBeSame(owner.pid, row.path, theirs)) continue;
		return `process ${owner.pid} is bound to ${printable(row.path)} on another mount, which ${isSame ? 'is' : 'may be'} the same file`;
	}
	return undefined;

	function mayBeSame(pid: number, theirPath: string, theirs: Mount): boolean {
		if (![uid, 0].includes(uidOf(pid) ?? -1) || !(isDoubtful || mayHang(theirs.type))) return false;
		return mayHang(theirs.type) || !isOlderOrNewer(pid, theirPath, modifiedMs);
	}
}

/** So many processes with sockets of one name that a look at all of them would take long are hardly one server. */
const mostRivals = 256;

/** @param device as `ss` tells it; without, what the path says */
function mountOfRow({path}: Row, pid: number, device: string | undefined): Mount | undefined {
	const mounts = mountsOf(pid);
	if (device !== undefined) return [...mounts, ...mountsOf('self')].find(each => each.device === device);
	const directory = path.startsWith('/') ? '' : `${linkOrUndefined(`/proc/${pid}/cwd`)}/`;
	return mountOfText(`${directory}${path}`, mounts);
}

/** One file has one time of modification in each view, which some of them show in seconds. */
function isOlderOrNewer(pid: number, path: string, modifiedMs: number): boolean {
	const found = statReachable(pid, path);
	return found !== undefined && Math.abs(Number(found.mtimeMs) - modifiedMs) > 2000;
}

/** Whether it is what our overlay shows, in one of its layers. */
function isBelow(pid: number, theirPath: string, path: string, ours: Mount): boolean {
	if (ours.type !== 'overlay') return false;
	const found = statReachable(pid, theirPath);
	if (found === undefined) return false;
	const inside = path.slice(ours.mountPoint === '/' ? 0 : ours.mountPoint.length);
	return layersOf(ours).some(layer => {
		const below = statReachable('self', `${layer}${inside}`);
		return below !== undefined && below.dev === found.dev && below.ino === found.ino;
	});
}
