/**
 * Checks that every test ends with the descriptors and child processes that it began with.
 */
import {readdirSync, readlinkSync} from 'node:fs';
import test from 'ava';
import {isLate} from './deadlines.js';
import {readOrNothing} from './processes.js';

/** Sockets and children need a turn of the event loop to close. */
const closingMs = 3000;

/** Installs the check. Call it once in a file whose tests are all serial. */
export function checkLeaks(): void {
	let before: string[] = [];
	test.serial.beforeEach(() => {
		before = possessions();
	});
	test.serial.afterEach.always(async t => {
		const began = performance.now();
		while (possessions().join() !== before.join() && !isLate(began, closingMs)) {
			await new Promise(resolve => setTimeout(resolve, 2));
		}
		const now = possessions();
		const more = now.filter(one => !before.includes(one));
		const fewer = before.filter(one => !now.includes(one));
		t.deepEqual({more, fewer}, {more: [], fewer: []}, 'other descriptors or children than before the test');
	});
}

/** Returns the number of open descriptors of this process. */
export function countDescriptors(): number {
	return descriptors().length;
}

function possessions(): string[] {
	// libuv keeps the inotify descriptor of its first watch.
	return [...descriptors().filter(one => !one.endsWith('anon_inode:inotify')), ...children()];
}

function descriptors(): string[] {
	const found: string[] = [];
	for (const fd of readdirSync('/proc/self/fd')) {
		try {
			found.push(`${fd} -> ${readlinkSync(`/proc/self/fd/${fd}`)}`);
		} catch {
			// The descriptor that read the directory.
		}
	}
	return found;
}

function children(): string[] {
	const threads = readdirSync('/proc/self/task');
	const pids = threads.flatMap(thread => readOrNothing(`/proc/self/task/${thread}/children`).trim().split(' '));
	return pids.filter(pid => pid !== '').map(pid => `child ${pid}`);
}
