/**
 * The identity of the directory of a path, to find out later that another directory is there.
 */
import {statSync} from 'node:fs';
import {dirname} from 'node:path';
import {codeOf} from '../../model/errors.js';
import {type FileIdentity, isSameFile} from '../../model/file-identity.js';

export class DirectoryIdentity {
	/** The path of the directory. */
	readonly path: string;
	readonly #before: FileIdentity | 'absent' | undefined;

	/** @param file path of a file in the directory */
	constructor(file: string) {
		this.path = dirname(file);
		this.#before = identityAt(this.path);
	}

	/** Compares with the directory at the path now. One that cannot be read counts as the same. */
	get state(): 'same' | 'another' | 'absent' {
		const now = identityAt(this.path);
		if (now === 'absent') return 'absent';
		if (now === undefined || this.#before === undefined) return 'same';
		return this.#before !== 'absent' && isSameFile(now, this.#before) ? 'same' : 'another';
	}
}

/** Returns `undefined` if it cannot be read. */
function identityAt(directory: string): FileIdentity | 'absent' | undefined {
	try {
		return statSync(directory, {bigint: true});
	} catch (error) {
		return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error)) ? 'absent' : undefined;
	}
}
