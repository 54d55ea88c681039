/**
 * flock(2), which Node does not have: by the native addon fs-ext where it could be built, else by
 * flock(1) of util-linux or BusyBox on our inherited descriptor. The lock belongs to the open file
 * description, so it stays with us when that child exits.
 */
import {accessSync, constants, statSync} from 'node:fs';
import {createRequire} from 'node:module';
import {delimiter, resolve} from 'node:path';
import {BindLockError, withoutStacks} from '../../model/errors.js';

/**
 * `flock(LOCK_EX|LOCK_NB)`, or `LOCK_SH|LOCK_NB` if shared: whether we have the lock now. Throws an error with a
 * `code` on trouble.
 */
export type Flock = (descriptor: number, shared?: boolean) => boolean;

/** Forces one way: `BINDLOCK_FLOCK=addon` or `BINDLOCK_FLOCK=command`. */
const variable = 'BINDLOCK_FLOCK';

let loaded: Flock | undefined;

/**
 * Loaded when first needed: the addon costs milliseconds that an import should not.
 *
 * @throws BindLockError `ERR_UNSUPPORTED_PLATFORM`; `ERR_FLOCK_UNAVAILABLE`, with what to install or approve
 */
export function loadFlock(address: string): Flock {
	loaded ??= load(address, process.env[variable]);
	return loaded;
}

/** The path of a flock(1) to wait in, if there is one and the addon is not forced. */
export function queueingCommand(): string | undefined {
	if (process.env[variable] === 'addon') return undefined;
	try {
		return findCommand('flock');
	} catch {
		return undefined;
	}
}

function load(address: string, forced: string | undefined): Flock {
	if (process.platform !== 'linux' && process.platform !== 'darwin') {
		throw new BindLockError(`bindlock works on Linux and macOS; ${process.platform} has no flock(2)`, {
			code: 'ERR_UNSUPPORTED_PLATFORM',
			address,
		});
	}
	const reasons: string[] = [];
	for (const [name, way] of Object.entries({addon: byAddon, command: byCommand})) {
		if (forced !== undefined && forced !== '' && forced !== name) continue;
		try {
			return way();
		} catch (error) {
			reasons.push(String((error as Error | undefined)?.message ?? error).split('\n', 1)[0] ?? '');
		}
	}
	throw new BindLockError(
		`No way to lock: neither the addon fs-ext nor the command flock(1) can be used (${reasons.join('; ') || `${variable} is ${forced}`}). ` +
			'Install flock (package util-linux, or BusyBox), or a C compiler and then fs-ext; if your package manager blocks install scripts, approve the one of fs-ext',
		{code: 'ERR_FLOCK_UNAVAILABLE', address},
	);
}

/** Only the synchronous, non-blocking form: a pending asynchronous one hangs `process.exit()` and occupies the thread pool. */
function byAddon(): Flock {
	// fs-ext keeps handles of one isolate in static variables: loaded by a second thread after the
	// first has ended, it aborts the process (fs-ext 2.1.1, Node 20).
	if (!process.getBuiltinModule('node:worker_threads').isMainThread) {
		throw new Error('fs-ext can be used by the main thread only');
	}
	const {flockSync} = createRequire(import.meta.url)('fs-ext') as {
		flockSync(descriptor: number, flags: 'exnb' | 'shnb'): void;
	};
	if (typeof flockSync !== 'function') throw new Error('fs-ext has no flockSync');
	// That it is taken is told by an error, whose stack nobody reads.
	return (descriptor, shared) =>
		withoutStacks(() => {
			try {
				flockSync(descriptor, shared ? 'shnb' : 'exnb');
				return true;
			} catch (error) {
				if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
				throw failed(error as Error);
			}
		});
}

function byCommand(): Flock {
	const command = findCommand('flock');
	const {spawnSync} = process.getBuiltinModule('node:child_process');
	return (descriptor, shared) => {
		const {status, signal, stderr, error} = spawnSync(command, [shared ? '-s' : '-x', '-n', '3'], {
			stdio: ['ignore', 'ignore', 'pipe', descriptor],
			encoding: 'utf8',
			env: {...process.env, LC_ALL: 'C'},
		});
		if (status === 0) return true;
		if (error !== undefined) throw failed(error);
		// Both flocks exit with 1 and say nothing when it is taken. Anything else is trouble, and
		// must not pass for "taken".
		const said = stderr.replace(preloadTrouble, '').trim();
		if (status === 1 && said === '') return false;
		const failure = new Error(`flock(1) failed: ${said || signal || `status ${status}`}`);
		throw failed(Object.assign(failure, {code: codeFromMessage(said)}));
	};
}

/** The dynamic linker of glibc says this of an `LD_PRELOAD` that it cannot load, in each process, and goes on. */
const preloadTrouble = /^ERROR: ld\.so: object .* ignored\.$/gm;

/** By whichever way: the protocol tells it by that from the errors of other calls. */
function failed(error: Error): Error {
	return Object.assign(error, {syscall: 'flock'});
}

/** flock(1) tells the reason only in words (those of `strerror`, in the C locale). */
function codeFromMessage(message: string): string {
	if (/not supported/i.test(message)) return 'EOPNOTSUPP';
	if (/no locks available/i.test(message)) return 'ENOLCK';
	if (/not implemented/i.test(message)) return 'ENOSYS';
	return 'ERR_FLOCK_COMMAND';
}

function findCommand(name: string): string {
	for (const directory of (process.env['PATH'] ?? '/usr/bin:/bin').split(delimiter)) {
		// Absolute: the working directory may change.
		const path = resolve(directory, name);
		try {
			accessSync(path, constants.X_OK);
			if (statSync(path).isFile()) return path;
		} catch {}
	}
	throw new Error(`${name}: not found in PATH`);
}
