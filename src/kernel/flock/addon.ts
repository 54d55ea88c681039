/**
 * flock(2) by fs-ext, a native addon.
 *
 * Only its synchronous, non-blocking call is used: a pending asynchronous one hangs `process.exit()` and occupies a
 * thread of libuv's pool.
 */
import {createRequire} from 'node:module';
import {type Flock, flockError} from './flock.js';

/** @throws an error if the addon cannot be loaded */
export function addonFlock(): Flock {
	// fs-ext keeps handles of one isolate in static variables. Loaded by a second thread after the first one has ended,
	// it aborts the process (fs-ext 2.1.1, Node 20).
	if (!process.getBuiltinModule('node:worker_threads').isMainThread) {
		throw new Error('fs-ext can be used by the main thread only');
	}
	const {flockSync} = createRequire(import.meta.url)('fs-ext') as {
		flockSync(descriptor: number, flags: 'exnb' | 'shnb'): void;
	};
	if (typeof flockSync !== 'function') throw new Error('fs-ext has no flockSync');
	return (descriptor, shared) => {
		try {
			flockSync(descriptor, shared ? 'shnb' : 'exnb');
			return true;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
			throw flockError(error as Error);
		}
	};
}
