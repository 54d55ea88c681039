/**
 * Snapshots of a directory, to check that nothing has changed.
 */
import {type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {join} from 'node:path';

export interface Entry {
	readonly name: string;
	readonly inode: bigint;
	/** File type and permissions. */
	readonly mode: bigint;
	readonly uid: bigint;
	readonly links: bigint;
	/** The modification time in nanoseconds. */
	readonly modified: bigint;
	readonly content: string;
}

/** Returns the entries of a directory and its subdirectories. With `''`, includes the directory, whose time shows added or removed names. */
export function treeOf(directory: string): Entry[] {
	return ['', ...readdirSync(directory, {recursive: true, encoding: 'utf8'})]
		.sort()
		.map(name => entryOf(directory, name));
}

/** Returns the same without times of directories, so temporary files are ignored. */
export function contentOf(directory: string): Entry[] {
	return treeOf(directory).map(entry => (isDirectory(entry) ? {...entry, modified: 0n} : entry));
}

/** Returns the names in a directory. */
export function namesIn(directory: string): string[] {
	return readdirSync(directory).sort();
}

export function inodeOf(path: string): bigint {
	return lstatSync(path, {bigint: true}).ino;
}

function entryOf(directory: string, name: string): Entry {
	const path = join(directory, name);
	const found = lstatSync(path, {bigint: true});
	return {
		name,
		inode: found.ino,
		mode: found.mode,
		uid: found.uid,
		links: found.nlink,
		modified: found.mtimeNs,
		content: contentAt(path, found),
	};
}

function contentAt(path: string, found: BigIntStats): string {
	if (found.isFile()) return readFileSync(path, 'latin1');
	return found.isSymbolicLink() ? readlinkSync(path) : '';
}

function isDirectory({mode}: Entry): boolean {
	return (mode & 0o170000n) === 0o040000n;
}
