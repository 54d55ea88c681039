/**
 * Chooses how this process calls flock(2), which Node does not offer: the first of several ways that can be used here.
 */
import {BindLockError} from '../../model/errors.js';
import {variable} from '../node/environment.js';
import {addonFlock} from './addon.js';
import {commandFlock, flockCommand} from './command.js';
import {koffiFlock, runtimeFlock} from './ffi.js';
import type {Flock} from './flock.js';

/**
 * The addon fs-ext; the foreign function interface of Bun, Deno or Node; that of the package koffi; the command flock(1),
 * which needs a process for each call.
 */
export type Way = 'addon' | 'ffi' | 'koffi' | 'command';

/** In order of preference. */
const ways: Readonly<Record<Way, () => Flock>> = {
	addon: addonFlock,
	ffi: runtimeFlock,
	koffi: koffiFlock,
	command: commandFlock,
};

interface Choice {
	readonly way: Way;
	readonly flock: Flock;
}

/** Environment variable that forces one way. */
const forcing = 'BINDLOCK_FLOCK';

/** Kept, because loading the addon takes milliseconds. */
let loaded: Choice | undefined;

/**
 * Loads flock on the first call, so that importing bindlock stays cheap.
 *
 * @throws BindLockError `ERR_UNSUPPORTED_PLATFORM`; `ERR_FLOCK_UNAVAILABLE`, with what to install or approve
 */
export function loadFlock(address: string): Flock {
	return choose(address).flock;
}

/**
 * Returns how this process calls flock(2).
 *
 * @throws as {@link loadFlock}
 */
export function flockWay(): Way {
	return choose('').way;
}

/** Returns why this process cannot use the other ways. */
export function unusableWays(): ReadonlyMap<Way, string> {
	const unusable = new Map<Way, string>();
	for (const [way, load] of Object.entries(ways) as [Way, () => Flock][]) {
		try {
			load();
		} catch (error) {
			unusable.set(way, reasonOf(error));
		}
	}
	return unusable;
}

/** Returns the whole message in one line, but without the list of files that required a missing module. */
function reasonOf(error: unknown): string {
	const message = String((error as Error | undefined)?.message ?? error);
	return message.replace(/\nRequire stack:.*/s, '').replaceAll(/\s*\n\s*/g, ' ');
}

function choose(address: string): Choice {
	loaded ??= load(address, variable(forcing) || undefined);
	return loaded;
}

/** Returns the path of a flock(1) that can wait in the kernel's queue; `undefined` if there is none, or another way is forced. */
export function queueingCommand(): string | undefined {
	return ['', 'command'].includes(variable(forcing) ?? '') ? flockCommand() : undefined;
}

function load(address: string, forced: string | undefined): Choice {
	if (process.platform !== 'linux' && process.platform !== 'darwin') {
		throw new BindLockError(`bindlock works on Linux and macOS; ${process.platform} has no flock(2)`, {
			code: 'ERR_UNSUPPORTED_PLATFORM',
			address,
		});
	}
	const reasons: string[] = [];
	for (const way of Object.keys(ways) as Way[]) {
		if (forced !== undefined && forced !== way) continue;
		try {
			return {way, flock: ways[way]()};
		} catch (error) {
			reasons.push(`${way}: ${reasonOf(error)}`);
		}
	}
	const tried = forced === undefined ? Object.keys(ways).join(', ') : `${forced} (${forcing})`;
	throw new BindLockError(
		`No way to lock: ${tried} cannot be used: ${reasons.join('; ') || `there are only ${Object.keys(ways).join(', ')}`}. ` +
			'Install flock (package util-linux, or BusyBox), or the package koffi, or fs-ext with a C compiler and its install script approved',
		{code: 'ERR_FLOCK_UNAVAILABLE', address},
	);
}
