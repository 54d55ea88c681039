/**
 * The system calls of the protocol on files.
 */
import {
	accessSync,
	closeSync,
	constants,
	ftruncateSync,
	linkSync,
	openSync,
	readSync,
	renameSync,
	unlinkSync,
	writeSync,
} from 'node:fs';
import {attempt} from '../../model/attempt.js';
import {codeOf} from '../../model/errors.js';
import {maxRecordBytes} from '../../model/record.js';
import type {FileStatus, System} from '../../model/system.js';
import {statusOfDescriptor, statusOfPath} from './file-status.js';
import {createLockFile, openExistingLockFile} from './lock-file-descriptor.js';
import {oPath} from './opening.js';

/** Each method is documented in {@link System}. */
export class FileCalls {
	openLockFile(path: string, create: boolean, mode: number): number {
		return create ? createLockFile(path, mode) : openExistingLockFile(path);
	}

	pin(path: string): number | undefined {
		return oPath === undefined ? undefined : openSync(path, oPath | constants.O_NOFOLLOW);
	}

	close(descriptor: number): void {
		closeSync(descriptor);
	}

	fstat(descriptor: number): FileStatus {
		return statusOfDescriptor(descriptor);
	}

	lstat(path: string): FileStatus | undefined {
		return statusOfPath(path);
	}

	read(descriptor: number, length: number): string {
		return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, length, 0));
	}

	write(descriptor: number, text: string): boolean {
		const length = buffer.write(text);
		return writeSync(descriptor, buffer, 0, length, 0) === length;
	}

	truncate(descriptor: number): void {
		ftruncateSync(descriptor, 0);
	}

	unlink(path: string): boolean {
		try {
			unlinkSync(path);
			return true;
		} catch (error) {
			if (codeOf(error) === 'ENOENT') return false;
			throw error;
		}
	}

	link(existing: string, path: string): void {
		linkSync(existing, path);
	}

	rename(from: string, to: string): void {
		renameSync(from, to);
	}

	checkWritable(path: string): void {
		accessSync(path, constants.W_OK);
	}

	peek(path: string, length: number): string | undefined {
		const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
		const descriptor = attempt(() => openSync(path, flags));
		if (descriptor === undefined) return undefined;
		try {
			return this.read(descriptor, length);
		} finally {
			closeSync(descriptor);
		}
	}
}

/** For records, which are shorter. Each call that uses it ends with it before it returns. */
const buffer = Buffer.allocUnsafeSlow(maxRecordBytes);
