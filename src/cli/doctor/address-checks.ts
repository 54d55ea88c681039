/**
 * The checks of `bindlock doctor` for one address: its length, its directory, its state.
 */
import {accessSync, constants, type Stats, statSync} from 'node:fs';
import {dirname} from 'node:path';
import {inspect} from '../../api/inspect.js';
import {mayHang} from '../../kernel/mounts/hanging-mounts.js';
import {type Filesystem, filesystemOf} from '../../kernel/mounts/mount-table.js';
import {otherViewOfDirectory} from '../../kernel/sockets/other-views.js';
import {type Address, maxNameBytes, type PathnameAddress} from '../../model/address.js';
import {codeOf} from '../../model/errors.js';
import {describeHolder} from '../../model/holder.js';
import {printable} from '../../model/text.js';
import {addressArgument, parseAddressArgument} from '../arguments.js';
import {tryBind, tryFlock} from './directory-trials.js';
import {type Finding, ok, problem, warning} from './finding.js';

export async function addressChecks(given: string): Promise<Finding[]> {
	let address: Address;
	try {
		address = parseAddressArgument(given);
	} catch (error) {
		return [problem('address', (error as Error).message, 'choose another address')];
	}
	const findings = address.kind === 'pathname' ? await directoryChecks(address) : [];
	// The state would report the same problem again.
	if (findings.some(({level}) => level === 'problem')) return [length(address), ...findings];
	return [length(address), ...findings, await state(given)];
}

function length(address: Address): Finding {
	const check = 'length';
	const name = address.kind === 'pathname' ? address.path : address.name;
	const bytes = Buffer.byteLength(name);
	const message = `${bytes} of ${maxNameBytes} bytes`;
	if (bytes <= maxNameBytes) return ok(check, message);
	return warning(
		check,
		`${message} as an absolute path: only the relative path can be bound, and clients in other directories cannot connect`,
		'choose a shorter path',
	);
}

async function directoryChecks(address: PathnameAddress): Promise<Finding[]> {
	const path = dirname(address.path);
	const directory = directoryAt(path);
	if (typeof directory === 'string') {
		const remedy = directory === 'ENOENT' ? `create it: mkdir -p ${printable(path)}` : 'choose another address';
		return [problem('directory', `${printable(path)}: ${directory}`, remedy)];
	}
	const writable = isWritable(path);
	const findings = [
		permissions(path, directory, writable),
		filesystem(path, filesystemOf(path)),
		...(await otherViews(path)),
	];
	return writable ? [...findings, flockTrial(path), bindTrial(await tryBind(path))] : findings;
}

/** @returns an error code if it does not exist or is not a directory */
function directoryAt(path: string): Stats | string {
	try {
		const stats = statSync(path);
		return stats.isDirectory() ? stats : 'ENOTDIR';
	} catch (error) {
		return codeOf(error);
	}
}

function isWritable(path: string): boolean {
	try {
		accessSync(path, constants.W_OK | constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

function permissions(path: string, {mode, uid}: Stats, writable: boolean): Finding {
	const check = 'directory';
	const shown = `${printable(path)}: mode ${(mode & 0o7777).toString(8).padStart(4, '0')}, uid ${uid}`;
	if (!writable) {
		return problem(
			check,
			`${shown}: this user (uid ${process.geteuid?.()}) cannot create files in it`,
			'give the user a directory of its own, for example by RuntimeDirectory= of systemd',
		);
	}
	if ((mode & 0o002) === 0) return ok(check, shown);
	return warning(
		check,
		`${shown}: every user can create files in it, and so block the address`,
		'use a directory that only users of the address can write to',
	);
}

function filesystem(path: string, {type, mountPoint, readOnly}: Filesystem): Finding {
	const check = 'filesystem';
	const shown = `${type}${mountPoint === undefined ? '' : ` at ${printable(mountPoint)}`}`;
	if (readOnly) {
		return problem(check, `${shown} is read-only`, 'choose an address on a writable filesystem, for example /run');
	}
	const limitation = limitations.find(([pattern]) => pattern.test(type))?.[1];
	if (type === 'overlay') return ok(check, `${shown}: ${limitation}`);
	if (limitation === undefined && !mayHang(type)) return ok(check, shown);
	return warning(
		check,
		`${shown}: ${limitation ?? 'whether its flock works is unknown; see the check "flock there"'}`,
		`use a local directory, for example /run, instead of ${printable(path)}`,
	);
}

const limitations: readonly (readonly [RegExp, string])[] = [
	[
		/^overlay$/,
		'the lock file and the socket are in its upper layer; containers with another upper layer do not share the address',
	],
	[
		/^nfs/,
		'the NFS server keeps the lock and may lose it on a restart; with the mount option "local_lock" the lock is valid on this machine only',
	],
	[/^(cifs|smb3?)$/, 'whether flock works depends on the server'],
	[/^9p$/, 'its flock may be valid on this machine only, or not work; many 9p servers do not support sockets'],
	[/^(fuse|virtiofs)/, 'its flock is valid on this machine only, unless the FUSE program implements locks'],
	[/^(vfat|exfat|msdos|ntfs)/, 'it does not support sockets'],
];

/** Warned about before a crash: afterwards a connection through another view is refused even by a live server. */
async function otherViews(path: string): Promise<Finding[]> {
	const why = await otherViewOfDirectory(path);
	if (why === undefined) return [];
	return [
		warning(
			'other views',
			`${why}: after a crash bindlock removes the socket only if the record in the lock file names a process that has ended`,
			'use a local directory, for example /run, that all users of the address mount directly',
		),
	];
}

function flockTrial(path: string): Finding {
	const check = 'flock there';
	const answer = tryFlock(path);
	if (answer === 'works') return ok(check, 'a second lock of a file is refused');
	return problem(
		check,
		answer.startsWith('does not') ? `a lock ${answer}` : `failed (${answer})`,
		'choose an address on another filesystem, for example /run; or use the backend "lease" of the library',
	);
}

function bindTrial(answer: string): Finding {
	const check = 'bind there';
	if (answer === 'works') return ok(check, 'a socket can be bound');
	if (answer === 'ENAMETOOLONG' || answer === 'EINVAL') {
		return ok(check, 'not tried: the path of the directory is too long');
	}
	return problem(
		check,
		`a socket cannot be bound (${answer})`,
		'choose an address on another filesystem, for example /run',
	);
}

async function state(given: string): Promise<Finding> {
	const check = 'state';
	const {state: found, holder, reason} = await inspect(addressArgument(given));
	if (found === 'blocked') {
		return problem(check, reason?.message ?? found, 'remove the cause, or choose another address');
	}
	const by = holder === undefined ? '' : `, by ${describeHolder(holder)}`;
	if (found !== 'foreign') return ok(check, `${found}${by}`);
	return warning(
		check,
		`foreign${by}: a server that takes no lock`,
		'start the server by bindlock run, so that bindlock can refuse a second server and wait for the first',
	);
}
