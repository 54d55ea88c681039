/**
 * Follows a lock file whose lock a command has inherited: warns if the command loses the lock, and
 * cleans up the record after its end.
 */
import {basename} from 'node:path';
import {loadFlock} from '../../kernel/flock/choice.js';
import {NodeSystem} from '../../kernel/node-system.js';
import {isRunning} from '../../kernel/proc/processes.js';
import type {PathnameAddress} from '../../model/address.js';
import {maxRecordBytes, parseRecord} from '../../model/record.js';
import {printable} from '../../model/text.js';
import {readLock} from '../lock-reader.js';
import {writeMessage} from '../output.js';
import type {CommandProcess} from './command-process.js';

/** Commands that close inherited descriptors do so when they start; slow ones within the last of these. */
const checksAfterMs = [1000, 5000, 30_000];

/** Prints a warning if the command has closed the descriptor of the lock. */
export function warnIfClosed({given, lockPath}: PathnameAddress, command: CommandProcess): void {
	let over = process.platform !== 'linux';
	void command.exited.then(() => {
		over = true;
	});
	const check = (): void => {
		// The lock is read first: a command that still runs afterwards has lost it before its end.
		if (over || readLock(lockPath) !== undefined || !isRunning(command.pid)) return;
		over = true;
		writeMessage(
			`bindlock: the command closed the descriptor of the lock, so ${printable(given)} is no longer locked; use --close-fd for this command`,
		);
	};
	for (const milliseconds of checksAfterMs) setTimeout(check, milliseconds).unref();
}

/**
 * Empties the record of a process that has ended, because readers in another pid namespace must trust a record.
 * It does so under a shared lock, so that a new holder is never disturbed: a starter waits for a shared lock.
 */
export function clearRecord(lockPath: string, pid: number): void {
	const system = new NodeSystem(basename(lockPath));
	try {
		const descriptor = system.openLockFile(lockPath, false, 0);
		try {
			if (!loadFlock(lockPath)(descriptor, true)) return;
			const record = parseRecord(system.read(descriptor, maxRecordBytes));
			if (record !== 'foreign' && record?.pid === pid) system.truncate(descriptor);
		} finally {
			system.close(descriptor);
		}
	} catch {
		// The record is only information; the lock is released already.
	}
}
