/**
 * Finds sockets and lock files in a directory and its subdirectories.
 */
import {constants, readdirSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {oPath, withOpen} from '../../kernel/files/opening.js';
import {mountIdOf, mountOfDescriptor, mountOfDirectory} from '../../kernel/mounts/mount-table.js';
import {attempt} from '../../model/attempt.js';

interface DirectoryScan {
	readonly sockets: readonly string[];
	/** Regular files named `*.lock`. */
	readonly lockFiles: readonly string[];
	/** The errors of subdirectories that could not be read. */
	readonly errors: readonly string[];
}

/** Returns the devices of the filesystems of directories, `major:minor`; those that do not exist are left out. */
export function devicesOf(directories: readonly string[]): string[] {
	return directories.flatMap(directory => attempt(() => mountOfDirectory(directory))?.device ?? []);
}

/**
 * Scans a directory. It stays on one filesystem, and follows no symbolic link but `root` itself. Whether another
 * filesystem is mounted on a subdirectory is read from an `O_PATH` descriptor, because a system call to that filesystem
 * may hang.
 *
 * @throws the error of a `root` that cannot be read
 */
export function scanDirectory(root: string): DirectoryScan {
	const sockets: string[] = [];
	const lockFiles: string[] = [];
	const errors: string[] = [];
	const read = (directory: string, descriptor: number): void => {
		const descriptorPath = `/proc/self/fd/${descriptor}`;
		for (const entry of readdirSync(descriptorPath, {withFileTypes: true})) {
			const path = join(directory, entry.name);
			if (entry.isSocket()) sockets.push(path);
			else if (entry.isDirectory()) scan(path, `${descriptorPath}/${entry.name}`, descriptor);
			else if (entry.isFile() && entry.name.endsWith('.lock')) lockFiles.push(path);
		}
	};
	const scan = (directory: string, path: string, parent?: number): void => {
		try {
			const flags = parent === undefined ? constants.O_DIRECTORY : constants.O_DIRECTORY | constants.O_NOFOLLOW;
			withOpen(path, (oPath ?? 0) | flags, descriptor => {
				if (parent === undefined || isSameFilesystem(parent, descriptor)) read(directory, descriptor);
			});
		} catch (error) {
			const {message} = error as Error;
			// Name the directory by its own path.
			(error as Error).message = message.replace(/'\/proc\/self\/fd\/[^']*'/, `'${directory}'`);
			if (parent === undefined) throw error;
			errors.push((error as Error).message);
		}
	};
	scan(resolve(root), resolve(root));
	return {sockets, lockFiles, errors};
}

function isSameFilesystem(one: number, other: number): boolean {
	if (mountIdOf(one) === mountIdOf(other)) return true;
	const device = mountOfDescriptor(one)?.device;
	return device !== undefined && mountOfDescriptor(other)?.device === device;
}
