/**
 * Which directory a path leads through.
 */
import {lstatSync, realpathSync, statSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {codeOf} from '../model/errors.js';

/** The path with the directory that the kernel finds; `undefined` if there is none. */
export function asKernelFinds(path: string): string | undefined {
	try {
		return join(realpathSync.native(dirname(path)), basename(path));
	} catch {
		return undefined;
	}
}

/** Whether both paths lead through the same directory. */
export function isSameDirectory(one: string, other: string): boolean {
	try {
		const [first, second] = [statSync(dirname(one)), statSync(dirname(other))];
		return first.dev === second.dev && first.ino === second.ino;
	} catch {
		return false;
	}
}

/** The symbolic links on an absolute path, its last name included. Links that those lead to are not looked at. */
export function linksOn(path: string): string[] {
	const found: string[] = [];
	for (let at = path; at !== '/'; at = dirname(at)) if (isLink(at)) found.push(at);
	return found;
}

function isLink(path: string): boolean {
	try {
		return lstatSync(path, {throwIfNoEntry: false})?.isSymbolicLink() ?? false;
	} catch {
		return false;
	}
}

/** The directory that a path leads through now, to be compared with the one that it leads through later. */
export class DirectoryOf {
	readonly path: string;
	readonly #identity: string | undefined;

	constructor(path: string) {
		this.path = dirname(path);
		this.#identity = identityOf(this.path);
	}

	/** A directory that may not be looked at counts as the same: nothing says that it is not. */
	get state(): 'same' | 'another' | 'absent' {
		const now = identityOf(this.path);
		if (now === absent) return 'absent';
		if (now === undefined || this.#identity === undefined) return 'same';
		return now === this.#identity ? 'same' : 'another';
	}
}

const absent = 'absent';

/** `undefined` if that cannot be told. */
function identityOf(directory: string): string | undefined {
	try {
		const {dev, ino} = statSync(directory, {bigint: true});
		return `${dev}:${ino}`;
	} catch (error) {
		return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error)) ? absent : undefined;
	}
}
