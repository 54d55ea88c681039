/**
 * Chooses how this process calls flock(2): by the addon fs-ext if it could be compiled, else by the command flock(1).
 *
 * A further way is one more file that exports a function like {@link addonFlock}, and one more entry in `ways`.
 */
import {BindLockError} from '../../model/errors.js';
import {addonFlock} from './addon.js';
import {commandFlock, flockCommand} from './command.js';
import type {Flock} from './flock.js';

type Way = 'addon' | 'command';

/** In order of preference. */
const ways: Readonly<Record<Way, () => Flock>> = {addon: addonFlock, command: commandFlock};

interface Choice {
	readonly way: Way;
	readonly flock: Flock;
}

/** Environment variable that forces one way: `BINDLOCK_FLOCK=addon` or `BINDLOCK_FLOCK=command`. */
const variable = 'BINDLOCK_FLOCK';

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

function choose(address: string): Choice {
	loaded ??= load(address, process.env[variable] || undefined);
	return loaded;
}

/** Returns the path of a flock(1) that can wait in the kernel's queue; `undefined` if there is none, or the addon is forced. */
export function queueingCommand(): string | undefined {
	return process.env[variable] === 'addon' ? undefined : flockCommand();
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
			reasons.push(String((error as Error | undefined)?.message ?? error).split('\n', 1)[0] ?? '');
		}
	}
	throw new BindLockError(
		`No way to lock: neither the addon fs-ext nor the command flock(1) can be used (${reasons.join('; ') || `${variable} is ${forced}`}). ` +
			'Install flock (package util-linux, or BusyBox), or a C compiler and then fs-ext. If your package manager blocks install scripts, approve that of fs-ext',
		{code: 'ERR_FLOCK_UNAVAILABLE', address},
	);
}
