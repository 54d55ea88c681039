/**
 * Noticing that a file at a path may have been removed or replaced: inotify on that one file, by
 * `fs.watch`; where the kernel has no watches left, a slow check instead.
 */
import {watch} from 'node:fs';
import {codeOf} from '../errors.js';

/** Only where inotify is exhausted. */
const slowMs = 5000;

let warned = false;
let opened = false;

/**
 * Has libuv open the one inotify that all watches share. To be called before a lock is taken that will be watched: the
 * kernel releases the descriptors of a dead process from the last to the first, and to release an inotify takes it
 * milliseconds, in which the lock would still be held (measured, from SIGKILL to the lock: 11.6 ms, and 4.7 ms with
 * the inotify before it).
 */
export function openInotify(): void {
	if (opened) return;
	opened = true;
	try {
		watch('/', {persistent: false}).close();
	} catch {
		// Whoever watches is told.
	}
}

/** Whether this process is going to watch files: then a watch costs it no inotify of its own. */
export function isInotifyOpen(): boolean {
	return opened;
}

/**
 * Calls `touched` after anything happens to the file (an unlink changes its link count, which
 * inotify reports at once, also while a descriptor keeps the file), and once after the watch is
 * in place, for what happened before. Keeps no process alive.
 *
 * @returns stops it
 */
export function watchFile(path: string, touched: () => void): () => void {
	let stopped = false;
	const soon = (): void => {
		if (!stopped) touched();
	};
	let stopWatching: () => void;
	const checkSlowly = (error: unknown): void => {
		if (stopped) return;
		const code = codeOf(error);
		// A file that is gone needs no watch, but the news.
		if (code !== 'ENOENT') warnOnce(code);
		const timer = setInterval(soon, slowMs);
		timer.unref();
		stopWatching = () => clearInterval(timer);
	};
	try {
		const watcher = watch(path, {persistent: false}, soon);
		stopWatching = () => watcher.close();
		watcher.on('error', error => {
			watcher.close();
			checkSlowly(error);
		});
	} catch (error) {
		stopWatching = () => {};
		checkSlowly(error);
	}
	queueMicrotask(soon);
	return () => {
		stopped = true;
		stopWatching();
	};
}

function warnOnce(code: string): void {
	if (warned) return;
	warned = true;
	process.emitWarning(
		`Lock files and sockets cannot be watched (${code}; see sysctl fs.inotify), and are looked at every ${slowMs / 1000} seconds instead`,
		'BindLockWarning',
	);
}
