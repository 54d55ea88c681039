/**
 * flock(2) of the C library, called by a foreign function interface.
 */
import {getSystemErrorName} from 'node:util';
import type {OpenLibrary} from '../ffi/c-library.js';
import {openByKoffi} from '../ffi/koffi.js';
import {openByRuntime} from '../ffi/runtime.js';
import {type Flock, flockError} from './flock.js';

/** @throws an error if the runtime has no FFI, or it may not be used */
export function runtimeFlock(): Flock {
	return ffiFlock(openByRuntime);
}

/** @throws an error if koffi is not installed, or cannot be used */
export function koffiFlock(): Flock {
	return ffiFlock(openByKoffi);
}

/** From <sys/file.h>, alike on Linux and macOS. */
const lockShared = 1;
const lockExclusive = 2;
const lockNonBlocking = 4;

function ffiFlock(open: OpenLibrary): Flock {
	const {flock} = open({flock: ['int', 'int']});
	const flockOnce = (descriptor: number, shared: boolean): string => {
		const result = flock(descriptor, (shared ? lockShared : lockExclusive) | lockNonBlocking);
		return result === 0 ? '' : getSystemErrorName(result);
	};
	checkErrors(flockOnce);
	return (descriptor, shared = false) => {
		let code = flockOnce(descriptor, shared);
		// The runtime may have made system calls of its own before errno was read.
		if (code !== '' && code !== 'EAGAIN') code = flockOnce(descriptor, shared);
		if (code === 'EAGAIN') return false;
		if (code !== '') throw flockError(new Error(`flock(2) failed: ${code}`), code);
		return true;
	};
}

/** An experimental FFI may change. Its result and errno must be those of the kernel. */
function checkErrors(flockOnce: (descriptor: number, shared: boolean) => string): void {
	const code = flockOnce(-1, true);
	if (code !== 'EBADF') throw new Error(`flock(2) of descriptor -1 gave ${code || 'a lock'} instead of EBADF`);
}
