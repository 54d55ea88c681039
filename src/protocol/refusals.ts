/**
 * Why a lock file is refused, and what to do about it.
 */
import type {PathnameAddress} from '../model/address.js';
import {
	addressInUse,
	BindLockError,
	type BindLockErrorCode,
	codeOf,
	systemCodeOf,
	withoutStacks,
} from '../model/errors.js';
import {type LockRecord, maxRecordBytes, parseRecord} from '../model/record.js';
import type {Contention, FileStatus} from '../model/system.js';
import {printable} from '../model/text.js';

/** How often a lock file may be replaced under us before we give up. Twice is a coincidence. */
export const maxReplacements = 20;

/** The lock file is replaced faster than we can lock it. */
export function unstable(address: PathnameAddress): BindLockError {
	return new BindLockError(
		`Cannot lock ${printable(address.lockPath)}: it was replaced ${maxReplacements} times while being locked; find out what keeps removing it`,
		{code: 'ERR_LOCK_UNSTABLE', address: address.given, path: address.lockPath, syscall: 'flock'},
	);
}

/**
 * The record in the content; a file with other content is somebody's and is refused.
 *
 * @param content `undefined` if it was not read
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
		'it has content that is not a lock record, so it is a file of something else; choose another address',
	);
}

/** What no lock file is: then it is somebody's, and nothing of it is changed. */
export function refuseUnlessLockFile(address: PathnameAddress, file: FileStatus): void {
	if (file.type !== 'file') {
		// As open(2) says it.
		const codes = {directory: 'EISDIR', symlink: 'ELOOP', socket: 'ENXIO', other: 'ERR_LOCK_FILE_TYPE'} as const;
		const code = codes[file.type];
		throw cannotLock(
			address,
			code,
			openRemedies[code] ?? 'it is not a regular file; remove it or choose another address',
		);
	}
	if (file.nlink > 1) {
		throw cannotLock(
			address,
			'EMLINK',
			`it is a hard link, one of ${file.nlink} names of a file that may be somebody's; remove it or choose another address`,
		);
	}
}

/** Whether this says that flock can never work on that filesystem, so that nobody can have the lock. */
export function neverLocks(error: unknown): boolean {
	return ['EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EINVAL'].includes(codeOf(error));
}

/** What to do where the lock file, or the directory of a lease, cannot be opened or made. */
export const openRemedies: Readonly<Record<string, string>> = {
	EISDIR:
		'it is a directory: something else locks this address with a directory (proper-lockfile does, and so backend: "lease"); use the same, or remove it when nobody does',
	ELOOP: 'it is a symbolic link, which is never followed; remove it or choose another address',
	ENXIO: 'it is a socket or a device, not a lock file; remove it or choose another address',
	ENOENT: 'its directory does not exist; create the directory first',
	ENOTDIR: 'a part of the path is not a directory',
	ENOTEMPTY: 'it is a directory with something in it, so it is of something else; choose another address',
	EACCES: 'this user may not open or create it; give the user write permission to the directory and to the lock file',
	EPERM: 'this user may not open or create it',
	EROFS: 'the filesystem is read-only; choose an address on one that can be written',
	ENOSPC: 'the disk is full, or has no inodes left',
	EDQUOT: 'the disk quota is used up',
	EMFILE: 'this process has no free descriptors (ulimit -n)',
	ENFILE: 'this machine has no free descriptors (sysctl fs.file-max)',
	ENAMETOOLONG: 'the path is too long for a lock file beside it',
};

/** Whether this says that the user lacks a permission. */
export function isForbidden(error: unknown): boolean {
	return ['EACCES', 'EPERM'].includes(codeOf(error));
}

/** @param found the lock file, where it is known to be there and may not be opened */
export function cannotOpen(address: PathnameAddress, cause: unknown, uid: number, found?: FileStatus): BindLockError {
	const code = codeOf(cause);
	const why = (found && whyForbidden(found, uid)) ?? openRemedies[code] ?? code;
	return cannotLock(address, systemCodeOf(cause), why, {syscall: 'open', cause});
}

/** Whose file it is; `undefined` where the mode allows it, so that something else forbids it (an immutable attribute). */
function whyForbidden({type, mode, uid: owner}: FileStatus, uid: number): string | undefined {
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

/** What flock said, and what else there is. */
export function cannotFlock(address: PathnameAddress, cause: unknown): BindLockError {
	if (cause instanceof BindLockError) return cause;
	const code = codeOf(cause);
	const why =
		neverLocks(cause) || code === 'ENOLCK'
			? "this filesystem does not do flock here; backend: 'lease' works without, with a weaker guarantee"
			: 'flock failed';
	const said = ['ERR_FLOCK_COMMAND', 'UNKNOWN'].includes(code) ? (cause as Error).message : code;
	return cannotLock(address, systemCodeOf(cause), `${why} (${said})`, {syscall: 'flock', cause});
}

/** Throws a refusal. */
export function granted<Result>(outcome: Result | BindLockError): Result {
	if (outcome instanceof BindLockError) throw outcome;
	return outcome;
}

/** The lock is held. */
export function taken(
	address: PathnameAddress,
	{kind, holder}: Contention,
	waitedMs: number | undefined,
): BindLockError {
	const why = {
		exclusive: holder === undefined ? 'its lock is held by a process that cannot be seen from here' : 'held by',
		shared:
			holder === undefined
				? 'somebody keeps a shared lock on its lock file'
				: 'a shared lock on its lock file is kept by',
		unseen: holder === undefined ? 'its lock is held, perhaps in another pid namespace' : 'held by',
	}[kind];
	// The caller's stack is put on where it leaves (see takeAddress).
	return withoutStacks(() => addressInUse(address.given, {holder, why, waitedMs}));
}
