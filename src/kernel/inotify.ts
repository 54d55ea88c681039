/**
 * Notices that a path may not lead to the same file any more: inotify on the file, its directory and the
 * symbolic links on the path, by `fs.watch`; where that is not possible, a slow check instead.
 */
import {type WatchListener, watch} from 'node:fs';
import {basename, dirname} from 'node:path';
import {codeOf} from '../model/errors.js';
import {type DirectoryOf, linksOn} from './directory.js';

/** Only where inotify cannot be used. */
const slowMs = 5000;

/** How often a busy directory may cause a look. */
const busyMs = 1000;

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

/**
 * Calls `touched` after anything happens to one of the files (an unlink changes its link count, which
 * inotify reports at once, also while a descriptor keeps the file), when their directory is not at its path
 * any more, and once after the watches are in place, for what happened before. Keeps no process alive.
 *
 * @param directory of all the files
 * @returns stops it
 */
export function watchFiles(directory: DirectoryOf, paths: readonly string[], touched: () => void): () => void {
	let stopped = false;
	const soon = (): void => {
		if (!stopped) touched();
	};
	const {path} = directory;
	// Of its mode, too, inotify tells, which libuv gives as the same event.
	const moved = (): void => {
		if (directory.state !== 'same') soon();
	};
	const stops = [
		// A file that is gone needs no watch, but the news.
		...paths.map(file => watchPath(file, soon, soon, 'ENOENT')),
		watchEntry(path, basename(path), moved, soon),
		...linksOn(path).map(link => watchEntry(dirname(link), basename(link), moved, soon)),
	];
	queueMicrotask(soon);
	return () => {
		stopped = true;
		for (const stop of stops) stop();
	};
}

/**
 * Calls `changed` after an entry of the directory, or the directory itself, is moved, removed or made anew.
 *
 * @param name of the entry; for the directory itself the last name of its path, as libuv has it
 * @param busy is called after events of other entries, once in a second at most. It cannot be left out: in a
 * directory so busy that inotify's queue overflows, events are lost, those of other watches too, and libuv does
 * not tell; and libuv gives an event of the directory itself the last name of the path by which this process has
 * watched that inode first
 */
function watchEntry(directory: string, name: string, changed: () => void, busy: () => void): () => void {
	let timer: NodeJS.Timeout | undefined;
	const late = (): void => {
		timer = undefined;
		busy();
	};
	const heed: WatchListener<string> = (event, found) => {
		if (event === 'rename' && found === name) changed();
		else timer ??= setTimeout(late, busyMs).unref();
	};
	// Files can be made in a directory that may not be read, but it cannot be watched.
	const stopWatching = watchPath(directory, heed, busy, 'EACCES');
	return () => {
		clearTimeout(timer);
		stopWatching();
	};
}

/**
 * @param checked is called every few seconds where the path cannot be watched
 * @param expected why that may be, without a warning
 */
function watchPath(path: string, heed: WatchListener<string>, checked: () => void, expected: string): () => void {
	let stopWatching = (): void => {};
	let stopped = false;
	const checkSlowly = (error: unknown): void => {
		if (stopped) return;
		const code = codeOf(error);
		if (code !== expected) warnOnce(code);
		const timer = setInterval(checked, slowMs);
		timer.unref();
		stopWatching = () => clearInterval(timer);
	};
	try {
		const watcher = watch(path, {persistent: false}, heed);
		stopWatching = () => watcher.close();
		watcher.on('error', error => {
			watcher.close();
			checkSlowly(error);
		});
	} catch (error) {
		checkSlowly(error);
	}
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
