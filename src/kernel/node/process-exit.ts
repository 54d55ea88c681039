/**
 * Ending the process without Node's cleanup of handles, which unlinks the paths of sockets.
 */
import type {ProcessInternals} from './node-internals.js';

/**
 * From now on makes this process end as `process.exit()` does.
 *
 * When its event loop is empty, Node closes all remaining handles before it ends, and libuv then unlinks the paths that
 * they were bound to (measured on Node 20 to 26). `process.exit()` does not close them, and its second half is available
 * as `process.reallyExit` only. It is called once the listeners of `'exit'` have run, and not by such a listener: others
 * may remove that, or throw before it runs.
 */
export function endWithoutCleanup(): void {
	if (isInstalled) return;
	isInstalled = true;
	const emit = process.emit as (name: string, ...all: unknown[]) => boolean;
	process.on('uncaughtExceptionMonitor', noteFailure);
	process.emit = ((name: string, ...all: unknown[]) => {
		// A program may emit 'exit' itself, without being about to end.
		if (name !== 'exit' || !internals()._exiting) return emit.call(process, name, ...all);
		try {
			emit.call(process, name, ...all);
		} catch (error) {
			if (process.listenerCount('uncaughtException') === 0) throw error;
			emit.call(process, 'uncaughtException', error, 'uncaughtException');
		}
		if (!isFailing) internals().reallyExit(Number(process.exitCode ?? all[0]));
		return true;
	}) as typeof process.emit;
}

let isInstalled = false;
let isFailing = false;

/** After an uncaught exception Node prints the error after the listeners of `'exit'`, and skips that cleanup by itself. */
function noteFailure(): void {
	isFailing = process.listenerCount('uncaughtException') === 0 && !process.hasUncaughtExceptionCaptureCallback();
}

function internals(): ProcessInternals {
	return process as unknown as ProcessInternals;
}
