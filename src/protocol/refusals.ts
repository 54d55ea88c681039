/**
 * Why a lock file or a socket file is refused, and what the user can do about it.
 */
import type {PathnameAddress} from '../model/address.js';
import {addressInUse, BindLockError, type BindLockErrorCode, codeOf, systemCodeOf} from '../model/errors.js';
import {type LockRecord, maxRecordBytes, parseRecord} from '../model/record.js';
import type {Contention, FileStatus} from '../model/system.js';
import {printable} from '../model/text.js';

/** How often a file may be replaced during one attempt. Twice is a coincidence. */
export const maxReplacements = 20;

/** The error of a lock file that is replaced faster than it can be locked. */
export function lockFileUnstable(address: PathnameAddress): BindLockError {
	return new BindLockError(
		`Cannot lock ${printable(address.lockPath)}: it was replaced ${maxReplacements} times while being locked; find out what removes it`,
		{code: 'ERR_LOCK_UNSTABLE', address: address.given, path: address.lockPath, syscall: 'flock'},
	);
}

/**
 * Parses the record in a lock file. Refuses a file with other content, because it belongs to another program.
 *
 * @param content `undefined` if it was not read
 * @throws BindLockError `ERR_LOCK_FILE_FOREIGN`
 */
export function refuseForeignContent(
	address: PathnameAddress,
	file: FileStatus,
	content: string | undefined,
): LockRecord | undefined {
	const record = file.size > maxRecordBytes ? 'foreign' : parseRecord(content ?? '');
	if (record !== 'foreign') return record;
	throw cannotLock(
		address,
		'ERR_LOCK_FILE_FOREIGN',
		'its content is not a lock record, so the file belongs to another program; choose another address',
	);
}

/**
 * Refuses what cannot be a lock file.
 *
 * @throws BindLockError `EISDIR`, `ELOOP`, `ENXIO`, `EMLINK`, `ERR_LOCK_FILE_TYPE`
 */
export function refuseUnlessLockFile(address: PathnameAddress, file: FileStatus): void {
	if (file.type !== 'file') {
		// The codes of open(2).
		const codes = {directory: 'EISDIR', symlink: 'ELOOP', socket: 'ENXIO', other: 'ERR_LOCK_FILE_TYPE'} as const;
		const code = codes[file.type];
		const why = openRemedies[code] ?? 'it is not a regular file; remove it or choose another address';
		throw cannotLock(address, code, why);
	}
	if (file.nlink > 1) {
		throw cannotLock(
			address,
			'EMLINK',
			`the file has ${file.nlink} hard links, so it may belong to another program; remove it or choose another address`,
		);
	}
}

/** Whether flock can never succeed on this filesystem, so that no process can hold the lock. */
export function isFlockUnsupported(error: unknown): boolean {
	return ['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL'].includes(codeOf(error));
}

/** What to do when a lock file, or the directory of a lease, cannot be opened or created. */
export const openRemedies: Readonly<Record<string, string>> = {
	EISDIR:
		'it is a directory: another program locks this address with a directory (proper-lockfile does, and so does backend: "lease"); use the same lock, or remove the directory when no server uses it',
	ELOOP: 'it is a symbolic link, which bindlock never follows; remove it or choose another address',
	ENXIO: 'it is a socket or a device, not a lock file; remove it or choose another address',
	ENOENT: 'its directory does not exist; create the directory first',
	ENOTDIR: 'a part of the path is not a directory',
	ENOTEMPTY: 'it is a directory that is not empty, so it belongs to another program; choose another address',
	EACCES: 'this user may not open or create it; give the user write permission to the directory and to the lock file',
	EPERM: 'this user may not open or create it',
	EROFS: 'the filesystem is read-only; choose an address on a writable one',
	ENOSPC: 'the disk is full, or has no inodes left',
	EDQUOT: 'the disk quota is used up',
	EMFILE: 'this process has no free descriptors (ulimit -n)',
	ENFILE: 'this machine has no free descriptors (sysctl fs.file-max)',
	ENAMETOOLONG: 'the path is too long for a lock file beside it',
};

/** Whether the user lacks a permission. */
export function isForbidden(error: unknown): boolean {
	return ['EACCES', 'EPERM'].includes(codeOf(error));
}

/**
 * The error of a lock file that cannot be opened.
 *
 * @param found the lock file, if it exists and this user may not open it
 */
export function cannotOpen(
	address: PathnameAddress,
	cause: unknown,
	uid: number | undefined,
	found?: FileStatus,
): BindLockError {
	const code = codeOf(cause);
	const unknown = code === 'ERR_ACCESS_DENIED' ? (cause as Error).message : code;
	const why = (found && whyForbidden(found, uid)) ?? openRemedies[code] ?? unknown;
	return cannotLock(address, systemCodeOf(cause), why, {syscall: 'open', cause});
}

/** Returns `undefined` if the mode permits access, so that something else forbids it (an immutable attribute). */
function whyForbidden({type, mode, uid: owner}: FileStatus, uid: number | undefined): string | undefined {
	const needed = owner === uid ? 0o600 : 0o006;
	if (type !== 'file' || (mode & needed) === needed) return undefined;
	const whose = `it belongs to uid ${owner} and has mode ${mode.toString(8).padStart(4, '0')}, and this process is uid ${uid}`;
	if (owner === uid) return `${whose}; chmod it to 0600`;
	return (
		`${whose}: have root chown it to uid ${uid}, or remove it when no server of uid ${owner} runs; ` +
		'for servers of several users set lockFileMode: 0o666'
	);
}

function cannotLock(
	address: PathnameAddress,
	code: BindLockErrorCode,
	why: string,
	more: {readonly syscall?: string; readonly cause?: unknown} = {},
): BindLockError {
	return new BindLockError(`Cannot use the lock file ${printable(address.lockPath)}: ${why}`, {
		code,
		address: address.given,
		path: address.lockPath,
		...more,
	});
}

/** The error of a failed flock. */
export function cannotFlock(address: PathnameAddress, cause: unknown): BindLockError {
	if (cause instanceof BindLockError) return cause;
	const code = codeOf(cause);
	const why =
		isFlockUnsupported(cause) || code === 'ENOLCK'
			? "this filesystem does not support flock; backend: 'lease' works without it, with a weaker guarantee"
			: 'flock failed';
	const detail = ['ERR_ACCESS_DENIED', 'ERR_FLOCK_COMMAND', 'UNKNOWN'].includes(code) ? (cause as Error).message : code;
	return cannotLock(address, systemCodeOf(cause), `${why} (${detail})`, {syscall: 'flock', cause});
}

/** The error of an address whose lock is held. */
export function addressLocked(
	address: PathnameAddress,
	{kind, holder}: Contention,
	waitedMs: number | undefined,
): BindLockError {
	if (holder === undefined) {
		const why = {
			exclusive: 'its lock is held by a process that is not visible here',
			shared: 'an unknown process keeps a shared lock on its lock file',
			unseen: 'its lock is held, perhaps in another pid namespace',
		}[kind];
		return addressInUse(address.given, {why, waitedMs});
	}
	const why = kind === 'shared' ? 'a shared lock on its lock file is kept by' : 'held by';
	return addressInUse(address.given, {holder, why, waitedMs});
}

/** Explains a permission error of the probe or the removal of a socket file. Returns any other error unchanged. */
export function explainForbidden(
	address: PathnameAddress,
	found: FileStatus,
	uid: number | undefined,
	thrown: unknown,
): unknown {
	if (!isForbidden(thrown)) return thrown;
	const {syscall, message} = thrown as NodeJS.ErrnoException;
	const code = systemCodeOf(thrown);
	const fields = {code, address: address.given, syscall, cause: thrown};
	const whose = `it belongs to uid ${found.uid} and this process is uid ${uid}`;
	if (syscall === 'unlink') {
		const why = code === 'EPERM' && found.uid !== uid ? `${whose}; ${sticky}` : unwritable;
		return new BindLockError(`Cannot reclaim the socket ${printable(address.path)}: ${why}`, fields);
	}
	if (syscall !== 'connect' || found.uid === uid) return thrown;
	return new BindLockError(`${message}; ${whose}, which may connect only with socketMode: 0o777`, fields);
}

const sticky =
	'in a directory with the sticky bit only the owner of the socket or of the directory may remove it; use a directory without it';

const unwritable = 'this user may not remove files from its directory; give it write permission there';
