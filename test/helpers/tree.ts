/**
 * Everything that is in a directory, for tests that say: nothing was changed.
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
	/** Of the content, in nanoseconds. */
	readonly modified: bigint;
	readonly content: string;
}

/** What is in a directory and below it; with `''`, the directory itself, whose time tells whether names came or went. */
export function treeOf(directory: string): Entry[] {
	return ['', ...readdirSync(directory, {recursive: true, encoding: 'utf8'})]
		.sort()
		.map(name => entryOf(directory, name));
}

/** The same without times of directories: names may have come and gone. */
export function contentOf(directory: string): Entry[] {
	return treeOf(directory).map(entry => (isDirectory(entry) ? {...entry, modified: 0n} : entry));
}

/** The names in a directory. */
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
