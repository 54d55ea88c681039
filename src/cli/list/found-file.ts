/**
 * A file at a path, looked at without hanging on a filesystem that does not answer.
 */
import type {BigIntStats} from 'node:fs';
import {statReachable} from '../../kernel/mounts/reachable.js';

/**
 * Looks at a path as a process sees it, without following a symbolic link in the last component.
 *
 * @param devices of mounts that are looked at whatever their type
 * @returns `undefined` if the file does not exist, or is on a mount that may hang
 */
export function findFile(pid: number | 'self', path: string, devices: readonly string[]): BigIntStats | undefined {
	return statReachable(pid, path, {devices, follow: false});
}

/** Returns a key for the inode of a file. */
export function inodeKey({dev, ino}: Pick<BigIntStats, 'dev' | 'ino'>): string {
	return `${dev}:${ino}`;
}
