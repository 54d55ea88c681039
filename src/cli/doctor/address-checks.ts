/**
 * What depends on where an address is.
 */
import {dirname} from 'node:path';
import {inspect} from '../../api/inspect.js';
import {type Filesystem, filesystemOf} from '../../kernel/mounts/mount-table.js';
import {otherViewOfDirectory} from '../../kernel/mounts/other-views.js';
import {type Address, maxNameBytes, type PathnameAddress} from '../../model/address.js';
import {describeHolder} from '../../model/holder.js';
import {printable} from '../../model/text.js';
import {addressArgument, parseArgument} from '../addresses.js';
import type {Finding} from './doctor.js';
import {type Directory, directoryAt, tryBind, tryFlock} from './trials.js';

export async function addressChecks(given: string): Promise<Finding[]> {
	let address: Address;
	try {
		address = parseArgument(given);
	} catch (error) {
		return [{level: 'problem', check: 'address', message: (error as Error).message, remedy: 'choose another address'}];
	}
	const findings = address.kind === 'pathname' ? await directoryChecks(address) : [];
	// What is wrong with the directory is not to be told twice.
	if (findings.some(({level}) => level === 'problem')) return [length(address), ...findings];
	return [length(address), ...findings, await state(given)];
}

function length(address: Address): Finding {
	const check = 'length';
	const name = address.kind === 'pathname' ? address.path : address.name;
	const bytes = Buffer.byteLength(name);
	const message = `${bytes} of ${maxNameBytes} bytes`;
	if (bytes <= maxNameBytes) return {level: 'ok', check, message};
	return {
		level: 'warning',
		check,
		message: `${message} as an absolute path: it can be bound by the relative one only, and clients elsewhere cannot connect`,
		remedy: 'choose a shorter path',
	};
}

async function directoryChecks(address: PathnameAddress): Promise<Finding[]> {
	const path = dirname(address.path);
	const directory = directoryAt(path);
	if (typeof directory === 'string') {
		const remedy = directory === 'ENOENT' ? `create it: mkdir -p ${printable(path)}` : 'choose another address';
		return [{level: 'problem', check: 'directory', message: `${printable(path)}: ${directory}`, remedy}];
	}
	const found = [permissions(path, directory), filesystem(path, filesystemOf(path)), ...(await views(path))];
	return directory.writable ? [...found, flockTrial(path), bindTrial(await tryBind(path))] : found;
}

function permissions(path: string, {mode, uid, writable}: Directory): Finding {
	const check = 'directory';
	const shown = `${printable(path)}: mode ${mode.toString(8).padStart(4, '0')}, uid ${uid}`;
	if (!writable) {
		return {
			level: 'problem',
			check,
			message: `${shown}: this user (uid ${process.geteuid?.()}) may not create files there`,
			remedy: 'give the user a directory of its own, for example by RuntimeDirectory= of systemd',
		};
	}
	if ((mode & 0o002) === 0) return {level: 'ok', check, message: shown};
	return {
		level: 'warning',
		check,
		message: `${shown}: everybody may create files there, and so take the address before you`,
		remedy: 'use a directory that only its users may write to',
	};
}

const local = new Set([
	'ext2',
	'ext3',
	'ext4',
	'xfs',
	'btrfs',
	'f2fs',
	'zfs',
	'bcachefs',
	'tmpfs',
	'ramfs',
	'apfs',
	'hfs',
	'rootfs',
]);

function filesystem(path: string, {type, mountPoint, readOnly}: Filesystem): Finding {
	const check = 'filesystem';
	const where = `${type}${mountPoint === undefined ? '' : ` at ${printable(mountPoint)}`}`;
	if (readOnly) {
		return {
			level: 'problem',
			check,
			message: `${where} is read-only`,
			remedy: 'choose an address on one that can be written, for example /run',
		};
	}
	if (local.has(type)) return {level: 'ok', check, message: where};
	const remedy = `use a local directory, for example /run, instead of ${printable(path)}`;
	const message = remarks.find(([pattern]) => pattern.test(type))?.[1];
	if (type === 'overlay') return {level: 'ok', check, message: `${where}: ${message}`};
	return {
		level: 'warning',
		check,
		message: `${where}: ${message ?? 'not known to do flock; the trial below tells'}`,
		remedy,
	};
}

const remarks: readonly (readonly [RegExp, string])[] = [
	[
		/^overlay$/,
		'the lock file and the socket are in its upper layer; containers that do not share that share no address',
	],
	[
		/^nfs/,
		'its flock is a lock of the server, which may get lost when that restarts, and with "local_lock" it is of this machine only',
	],
	[/^(cifs|smb3?)$/, 'its flock is what the server makes of it'],
	[/^9p$/, 'its flock may be of this machine only, or none, and many of its servers have no sockets'],
	[/^(fuse|virtiofs)/, 'its flock is of this machine only, unless its program does locks itself'],
	[/^(vfat|exfat|msdos|ntfs)/, 'it has no sockets'],
];

/** Before a crash: afterwards nobody could tell whether the server lives. */
async function views(path: string): Promise<Finding[]> {
	const why = await otherViewOfDirectory(path);
	if (why === undefined) return [];
	return [
		{
			level: 'warning',
			check: 'other views',
			message: `${why}: after a crash the socket is removed only if the record in the lock file names a process that has ended`,
			remedy: 'use a local directory, for example /run, that all its users mount directly',
		},
	];
}

function flockTrial(path: string): Finding {
	const check = 'flock there';
	const answer = tryFlock(path);
	if (answer === 'works') return {level: 'ok', check, message: 'a second lock of a file is refused'};
	return {
		level: 'problem',
		check,
		message: answer.startsWith('does not') ? `a lock ${answer}` : `failed (${answer})`,
		remedy: 'choose an address on another filesystem, for example /run; or see the backend "lease" of the library',
	};
}

function bindTrial(answer: string): Finding {
	const check = 'bind there';
	if (answer === 'works') return {level: 'ok', check, message: 'a socket can be bound'};
	if (answer === 'ENAMETOOLONG' || answer === 'EINVAL')
		return {level: 'ok', check, message: 'not tried: the directory is too long'};
	return {
		level: 'problem',
		check,
		message: `a socket cannot be bound (${answer})`,
		remedy: 'choose an address on another filesystem, for example /run',
	};
}

async function state(given: string): Promise<Finding> {
	const {state: found, holder, reason} = await inspect(addressArgument(given));
	const who = holder === undefined ? '' : `, by ${describeHolder(holder)}`;
	const check = 'state';
	if (found === 'blocked')
		return {
			level: 'problem',
			check,
			message: reason?.message ?? found,
			remedy: 'put that right, or choose another address',
		};
	if (found !== 'foreign') return {level: 'ok', check, message: `${found}${who}`};
	return {
		level: 'warning',
		check,
		message: `foreign${who}: a server that takes no lock`,
		remedy: 'start it by bindlock run, so that it is excluded and waited for',
	};
}
