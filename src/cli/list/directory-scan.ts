/**
 * Sockets and lock files under a directory.
 */
import {closeSync, constants, openSync, readdirSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {mountIdOf, mountOfDescriptor, mountOfDirectory} from '../../kernel/mounts/mount-table.js';
import {oPath} from '../../kernel/procfs.js';

export interface Scanned {
	readonly sockets: readonly string[];
	/** Regular files named `*.lock`. */
	readonly lockFiles: readonly string[];
	/** Why directories below it could not be read. */
	readonly unread: readonly string[];
}

/** Of the filesystems that the directories are on, as mountinfo names them; without those that are not there. */
export function devicesOf(directories: readonly string[]): string[] {
	return directories.flatMap(directory => {
		try {
			return mountOfDirectory(directory)?.device ?? [];
		} catch {
			return [];
		}
	});
}

/**
 * Goes down into directories of the same filesystem; follows no symbolic link but the one given. Whether another
 * filesystem is mounted on one is told by its descriptor, since to ask that filesystem may hang.
 *
 * @throws what the system says of a directory that cannot be read itself
 */
export function scanDirectory(given: string): Scanned {
	const sockets: string[] = [];
	const lockFiles: string[] = [];
	const unread: string[] = [];
	const read = (directory: string, descriptor: number): void => {
		const here = `/proc/self/fd/${descriptor}`;
		for (const entry of readdirSync(here, {withFileTypes: true})) {
			const path = join(directory, entry.name);
			if (entry.isSocket()) sockets.push(path);
			else if (entry.isDirectory()) scan(path, `${here}/${entry.name}`, descriptor);
			else if (entry.isFile() && entry.name.endsWith('.lock')) lockFiles.push(path);
		}
	};
	const scan = (directory: string, way: string, above?: number): void => {
		let descriptor: number | undefined;
		try {
			const flags = above === undefined ? constants.O_DIRECTORY : constants.O_DIRECTORY | constants.O_NOFOLLOW;
			descriptor = openSync(way, (oPath ?? 0) | flags);
			if (above === undefined || isSameFilesystem(above, descriptor)) read(directory, descriptor);
		} catch (error) {
			const {message} = error as Error;
			// As its path is, and not as it was opened.
			(error as Error).message = message.replace(/'\/proc\/self\/fd\/[^']*'/, `'${directory}'`);
			if (above === undefined) throw error;
			unread.push((error as Error).message);
		} finally {
			if (descriptor !== undefined) closeSync(descriptor);
		}
	};
	scan(resolve(given), resolve(given));
	return {sockets, lockFiles, unread};
}

function isSameFilesystem(one: number, other: number): boolean {
	if (mountIdOf(one) === mountIdOf(other)) return true;
	const device = mountOfDescriptor(one)?.device;
	return device !== undefined && mountOfDescriptor(other)?.device === device;
}
