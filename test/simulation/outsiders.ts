/**
 * Programs that are not ours and keep to no protocol, or to another one. Whatever they do, we never
 * remove what somebody is bound to, as far as the kernel's calls allow.
 */

import type {Program} from './process.js';
import {ask, lockPath, path, record} from './programs.js';
import type {SimulatedCall} from './system.js';

type Body = Generator<SimulatedCall, undefined, unknown>;

function outsider(name: string, body: () => Body, network = 0): Program {
	return {name, ours: false, network, start: {name: `${name} ${network}`, holds: false, body}};
}

/** As most of the web says: unlink, then bind. */
export const naiveServer: Program = outsider('naive server', function* () {
	yield* ask('unlink', path);
	return yield* serve();
});

/** The same from another network namespace, where /proc/net/unix does not show it. */
export const naiveElsewhere: Program = outsider(
	'naive server in another network namespace',
	function* () {
		yield* ask('unlink', path);
		return yield* serve();
	},
	1,
);

/** Binds if nothing is there, and never stops. */
export const patientServer: Program = outsider('server that binds and stays', () => stay(false));

/** The same from another network namespace, where connecting is the only way to know it. */
export const patientElsewhere: Program = outsider('server elsewhere that stays', () => stay(false), 1);

/** One that has no room for another connection. */
export const fullElsewhere: Program = outsider('full server elsewhere that stays', () => stay(true), 1);

function* stay(full: boolean): Body {
	try {
		yield* ask('listen', yield* ask('bind', path, full));
		yield* ask('stay');
	} catch {}
	return undefined;
}

function* serve(): Body {
	let descriptor: number;
	try {
		descriptor = yield* ask('bind', path);
	} catch {
		return undefined;
	}
	yield* ask('listen', descriptor);
	yield* ask('unlinkAsLibuv', path);
	yield* ask('close', descriptor);
	return undefined;
}

/** HAProxy: binds another name, listens, and renames it over whatever is there (R7). */
export const renamer: Program = outsider('server that renames over', function* () {
	const descriptor = yield* ask('bind', '/s.new');
	yield* ask('listen', descriptor);
	yield* ask('rename', '/s.new', path);
	yield* ask('unlinkAsLibuv', path);
	yield* ask('close', descriptor);
	return undefined;
});

export const lockCleaner: Program = outsider('cleaner of lock files', function* () {
	yield* ask('unlink', lockPath);
	return undefined;
});

export const socketCleaner: Program = outsider('cleaner of sockets', function* () {
	yield* ask('unlink', path);
	return undefined;
});

/** `pgrep -L` and the like: a shared lock for a moment. */
export const reader: Program = outsider('reader of locks', function* () {
	let descriptor: number;
	try {
		descriptor = yield* ask('openLockFile', lockPath, false, 0);
	} catch {
		return undefined;
	}
	yield* ask('flockShared', descriptor);
	yield* ask('close', descriptor);
	return undefined;
});

/**
 * libwayland's `wl_display_add_socket` and `wl_socket_destroy`, call by call: it compares no inodes
 * after the lock, does not ask who is bound, and unlinks its lock file on leaving.
 */
export const libwayland: Program = outsider('libwayland', function* () {
	const lock = yield* ask('openOrCreate', lockPath);
	if (!(yield* ask('flock', lock))) {
		yield* ask('close', lock);
		return undefined;
	}
	if ((yield* ask('lstat', path)) !== undefined) yield* ask('unlink', path);
	let socket: number;
	try {
		socket = yield* ask('bind', path);
	} catch {
		yield* ask('unlink', lockPath);
		yield* ask('close', lock);
		return undefined;
	}
	yield* ask('listen', socket);
	yield* ask('unlink', path);
	yield* ask('close', socket);
	yield* ask('unlink', lockPath);
	yield* ask('close', lock);
	return undefined;
});

/** A program with the same lock file and a pid as its record, which leaves it where it is (`flock(1)`, s6). */
export const plainLocker: Program = outsider('plain locker', function* () {
	const lock = yield* ask('openOrCreate', lockPath);
	if (yield* ask('flock', lock)) yield* ask('write', lock, record);
	yield* ask('close', lock);
	return undefined;
});
