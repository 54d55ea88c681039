/**
 * Programs that take no lock or follow another protocol. bindlock must not remove a socket that one of them is bound
 * to, except in the known windows.
 */

import type {Program} from './process.js';
import {ask, lockPath, path, record} from './programs.js';
import type {SimulatedCall} from './system.js';

type Body = Generator<SimulatedCall, undefined, unknown>;

function outsider(name: string, body: () => Body, network = 0): Program {
	return {name, ours: false, network, start: {name: `${name} ${network}`, holds: false, body}};
}

/** The common recipe: unlink, then bind. */
export const naiveServer: Program = outsider('naive server', function* () {
	yield* ask('unlink', path);
	return yield* serve();
});

/** The same in another network namespace, which /proc/net/unix does not show. */
export const naiveElsewhere: Program = outsider(
	'naive server in another network namespace',
	function* () {
		yield* ask('unlink', path);
		return yield* serve();
	},
	1,
);

/** Binds if the path is free, and never stops. */
export const patientServer: Program = outsider('server that binds and stays', () => stay(false));

/** The same in another network namespace: only connect(2) detects it. */
export const patientElsewhere: Program = outsider('server elsewhere that stays', () => stay(false), 1);

/** A server with a full backlog. */
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

/** HAProxy: binds a temporary name, listens, and renames it over the address (R7). */
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

/** `pgrep -L` and similar: holds a shared lock for a moment. */
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
 * libwayland's `wl_display_add_socket` and `wl_socket_destroy`, call by call. libwayland does not compare inodes after
 * locking, does not probe, and unlinks its lock file on exit.
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

/** A program that uses the same lock file, writes a pid as its record and keeps the file (`flock(1)`, s6). */
export const plainLocker: Program = outsider('plain locker', function* () {
	const lock = yield* ask('openOrCreate', lockPath);
	if (yield* ask('flock', lock)) yield* ask('write', lock, record);
	yield* ask('close', lock);
	return undefined;
});
