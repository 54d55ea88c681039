/**
 * Every test ends with the descriptors and child processes it began with.
 */
import {readdirSync, readlinkSync} from 'node:fs';
import test from 'ava';
import {isLate} from './deadlines.js';
import {readOrNothing} from './processes.js';

/** Closing is not always over at once: sockets and children take a turn of the event loop. */
const closingMs = 3000;

/** Call once in a file whose tests are all serial. */
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

/** How many descriptors this process has open. */
export function countDescriptors(): number {
	return descriptors().length;
}

function possessions(): string[] {
	// libuv keeps the one inotify descriptor that its first watch needs.
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
