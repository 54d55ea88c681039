/**
 * Sockets and lock files under a directory.
 */
import {lstatSync, readdirSync} from 'node:fs';
import {join, resolve} from 'node:path';

export interface Scanned {
	readonly sockets: readonly string[];
	/** Regular files named `*.lock`. */
	readonly lockFiles: readonly string[];
	/** Why directories below it could not be read. */
	readonly unread: readonly string[];
}

/**
 * Goes down into directories of the same filesystem; follows no symbolic link but the one given.
 *
 * @throws what the system says of a directory that cannot be read itself
 */
export function scanDirectory(given: string): Scanned {
	const sockets: string[] = [];
	const lockFiles: string[] = [];
	const unread: string[] = [];
	const scan = (directory: string, device: bigint | undefined): void => {
		try {
			const {dev} = lstatSync(join(directory, '.'), {bigint: true});
			if (device !== undefined && dev !== device) return;
			for (const entry of readdirSync(directory, {withFileTypes: true})) {
				const path = join(directory, entry.name);
				if (entry.isSocket()) sockets.push(path);
				else if (entry.isDirectory()) scan(path, dev);
				else if (entry.isFile() && entry.name.endsWith('.lock')) lockFiles.push(path);
			}
		} catch (error) {
			if (device === undefined) throw error;
			unread.push((error as Error).message);
		}
	};
	scan(resolve(given), undefined);
	return {sockets, lockFiles, unread};
}
