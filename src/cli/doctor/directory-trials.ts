/**
 * Tries a lock and a bind in a directory, with temporary files, because the type of a filesystem
 * does not tell whether they work.
 */
import {closeSync, openSync, unlinkSync} from 'node:fs';
import {join} from 'node:path';
import {loadFlock} from '../../kernel/flock/choice.js';
import type {Flock} from '../../kernel/flock/flock.js';
import {maxNameBytes} from '../../model/address.js';
import {codeOf} from '../../model/errors.js';

/**
 * Locks a file twice.
 *
 * @returns `'works'` if the second lock is refused, what is wrong otherwise: an error code, or a verb phrase
 */
export function tryFlock(directory: string): 'works' | 'does not lock' | 'does not exclude' | string {
	const path = join(directory, `.bindlock-doctor-${process.pid}.lock`);
	const descriptors: number[] = [];
	try {
		const flock: Flock = loadFlock(path);
		descriptors.push(openSync(path, 'wx', 0o600));
		descriptors.push(openSync(path, 'r+'));
		const [first = -1, second = -1] = descriptors;
		if (!flock(first)) return 'does not lock';
		return flock(second) ? 'does not exclude' : 'works';
	} catch (error) {
		return codeOf(error);
	} finally {
		for (const descriptor of descriptors) closeSync(descriptor);
		if (descriptors.length > 0) unlinkSync(path);
	}
}

/**
 * Binds a socket. Node removes its file on close.
 *
 * @returns `'works'`, or the error code
 */
export function tryBind(directory: string): Promise<'works' | string> {
	const server = process.getBuiltinModule('node:net').createServer();
	const path = join(directory, `.bl-${process.pid}`);
	// Node 20 and 22 truncate a longer path, and bind another one.
	if (Buffer.byteLength(path) > maxNameBytes) return Promise.resolve('ENAMETOOLONG');
	return new Promise(resolve => {
		server.on('error', error => resolve(codeOf(error)));
		server.listen({path, exclusive: true}, () => server.close(() => resolve('works')));
	});
}
