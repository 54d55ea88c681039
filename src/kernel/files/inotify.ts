/**
 * Notices that a path may lead to another file: by inotify (`fs.watch`) on the file, its directory and the symbolic links
 * on its path; where inotify cannot be used, by a check every few seconds.
 */
import {lstatSync, type WatchListener, watch} from 'node:fs';
import {basename, dirname} from 'node:path';
import {attempt} from '../../model/attempt.js';
import {codeOf} from '../../model/errors.js';
import type {DirectoryIdentity} from './directory-identity.js';

/**
 * Calls `touched` after any event of one of the files, when their directory is no longer at its path, and once after the
 * watches are in place, for what happened before. An unlink(2) changes the link count of a file, which inotify reports at
 * once, even while a descriptor keeps the inode. Keeps no process alive.
 *
 * @param directory of all the files
 * @returns a function that ends it
 */
export function watchFiles(directory: DirectoryIdentity, paths: readonly string[], touched: () => void): () => void {
	let stopped = false;
	const report = (): void => {
		if (!stopped) touched();
	};
	const {path} = directory;
	// libuv reports a change of the directory's mode as the same event.
	const checkDirectory = (): void => {
		if (directory.state !== 'same') report();
	};
	const stops = [
		// A file that does not exist needs no watch; the first report is enough.
		...paths.map(file => watchPath(file, report, report, 'ENOENT')),
		watchEntry(path, basename(path), checkDirectory, report),
		...linksOn(path).map(link => watchEntry(dirname(link), basename(link), checkDirectory, report)),
	];
	queueMicrotask(report);
	return () => {
		stopped = true;
		for (const stop of stops) stop();
	};
}

let opened = false;

/**
 * Makes libuv open the one inotify instance that all watches share.
 *
 * Call it before a lock is taken that will be watched. The kernel releases the descriptors of a dead process from the
 * last to the first, and releasing an inotify instance takes milliseconds, in which the lock would still be held
 * (measured from SIGKILL to the next holder: 11.6 ms, and 4.7 ms with the inotify instance first).
 */
export function openInotify(): void {
	if (opened) return;
	opened = true;
	// An error will be reported by the first watch.
	attempt(() =>
		watch('/', {persistent: false})
			.on('error', () => {})
			.close(),
	);
}

/** The least time between two reports that unrelated events of a directory cause. */
const busyMs = 1000;

/**
 * Calls `changed` after an entry of the directory, or the directory itself, is moved, removed or created.
 *
 * @param name of the entry; for the directory itself the last component of its path, as libuv has it
 * @param busy is called after other events, once a second at most. They matter, because libuv does not report when
 * inotify's queue overflows, and then events of every watch are lost; and because libuv reports an event of the directory
 * itself with the last component of the path by which this process first watched that inode
 */
function watchEntry(directory: string, name: string, changed: () => void, busy: () => void): () => void {
	let timer: NodeJS.Timeout | undefined;
	const report = (): void => {
		timer = undefined;
		busy();
	};
	const listener: WatchListener<string> = (event, found) => {
		if (event === 'rename' && found === name) changed();
		else timer ??= setTimeout(report, busyMs).unref();
	};
	// A directory without read permission can hold files, but cannot be watched.
	const stopWatching = watchPath(directory, listener, busy, 'EACCES');
	return () => {
		clearTimeout(timer);
		stopWatching();
	};
}

/** The interval of the checks where inotify cannot be used. */
const checkMs = 5000;

/**
 * @param check is called every {@link checkMs} if the path cannot be watched
 * @param expected code of the error that causes no warning
 */
function watchPath(path: string, listener: WatchListener<string>, check: () => void, expected: string): () => void {
	let stopWatching = (): void => {};
	let stopped = false;
	const checkInstead = (error: unknown): void => {
		if (stopped) return;
		const code = codeOf(error);
		if (code !== expected) warnOnce(code);
		const timer = setInterval(check, checkMs);
		timer.unref();
		stopWatching = () => clearInterval(timer);
	};
	try {
		const watcher = watch(path, {persistent: false}, listener);
		// Deno ignores `persistent` (2.9).
		watcher.unref();
		stopWatching = () => watcher.close();
		watcher.on('error', error => {
			watcher.close();
			checkInstead(error);
		});
	} catch (error) {
		checkInstead(error);
	}
	return () => {
		stopped = true;
		stopWatching();
	};
}

let warned = false;

function warnOnce(code: string): void {
	if (warned) return;
	warned = true;
	process.emitWarning(
		`Lock files and sockets cannot be watched (${code}; see sysctl fs.inotify), so they are checked every ${checkMs / 1000} seconds`,
		'BindLockWarning',
	);
}

/** Returns the symbolic links on an absolute path, its last component included; not the links that those lead through. */
function linksOn(path: string): string[] {
	const found: string[] = [];
	for (let at = path; at !== '/'; at = dirname(at)) {
		if (attempt(() => lstatSync(at).isSymbolicLink())) found.push(at);
	}
	return found;
}
