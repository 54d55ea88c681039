/**
 * A file at a path, looked at without hanging on a filesystem that does not answer.
 */
import type {BigIntStats} from 'node:fs';
import {statReachable} from '../../kernel/mounts/reachable.js';

export interface FoundFile {
	readonly dev: bigint;
	readonly ino: bigint;
	readonly isSocket: boolean;
	readonly since: Date;
}

/**
 * Looks at a path as a process sees it, without following a symbolic link in the last component.
 *
 * @param devices of mounts that are looked at whatever their type
 * @returns `undefined` if the file does not exist, or is on a mount that may hang
 */
export function findFile(pid: number | 'self', path: string, devices: readonly string[]): FoundFile | undefined {
	return asFoundFile(statReachable(pid, path, {devices, follow: false}));
}

export function asFoundFile(stats: BigIntStats | undefined): FoundFile | undefined {
	return stats && {dev: stats.dev, ino: stats.ino, isSocket: stats.isSocket(), since: stats.mtime};
}

/** Returns a key for the inode of a file. */
export function inodeKey({dev, ino}: Pick<FoundFile, 'dev' | 'ino'>): string {
	return `${dev}:${ino}`;
}
