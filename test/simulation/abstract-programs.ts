/**
 * Simulated servers for an abstract name: with the shipped protocol, in the call order of `src/api/listen.ts`, and
 * without a lock.
 */
import {codeOf} from '../../src/model/errors.js';
import type {LockSocket} from '../../src/model/system.js';
import {takeAbstract} from '../../src/protocol/abstract.js';
import type {Phase, Program} from './process.js';
import {abstractAddress, ask, type Body, claim, patient, type WaitOptions} from './programs.js';
import {exact, padded} from './system.js';

export interface AbstractOptions extends WaitOptions {
	readonly rounds?: number;
	/** Whether Node pads the name to 108 bytes, as Node 20 does. */
	readonly padded?: boolean;
}

export interface AbstractParts {
	take(options: AbstractOptions): Body<LockSocket>;
	readonly lockFirst?: boolean;
}

export const shippedAbstract: AbstractParts = {take: options => takeAbstract(abstractAddress, patient(claim, options))};

export function ownAbstract(
	options: AbstractOptions = {},
	mutant = '',
	parts: AbstractParts = shippedAbstract,
): Program {
	const spelling = options.padded ? padded('s') : exact('s');
	const name = `own abstract ${options.padded ? 'padded ' : ''}${options.waits ?? ''} ${mutant}`;

	function phase(what: string, passed: unknown, holds: boolean, body: () => Body<Phase | undefined>): Phase {
		return {name: `${name}: ${what} ${JSON.stringify(passed)}`, holds, body};
	}

	function taking(rounds: number): Phase {
		return phase('take', rounds, false, function* () {
			try {
				return serving(rounds, yield* parts.take(options));
			} catch (error) {
				if (codeOf(error) === 'UNKNOWN') throw error;
				return rounds > 1 ? taking(rounds - 1) : undefined;
			}
		});
	}

	function serving(rounds: number, lock: LockSocket): Phase {
		return phase('serve', [rounds, lock], true, function* () {
			let server: number;
			try {
				server = yield* ask('bind', spelling);
			} catch {
				return givingBack(rounds, lock, undefined);
			}
			yield* ask('listen', server);
			return givingBack(rounds, lock, server);
		});
	}

	function givingBack(rounds: number, lock: LockSocket, server: number | undefined): Phase {
		return phase('give back', [rounds, lock, server], false, function* () {
			if (parts.lockFirst) yield* closeQuietly('closeLockSocket', lock);
			if (server !== undefined) yield* closeQuietly('close', server);
			if (!parts.lockFirst) yield* closeQuietly('closeLockSocket', lock);
			return rounds > 1 ? taking(rounds - 1) : undefined;
		});
	}

	return {name, ours: true, start: taking(options.rounds ?? 1)};
}

/** Closes as libuv does: ignores errors. */
function* closeQuietly(name: 'close' | 'closeLockSocket', what: number | LockSocket): Body<void> {
	try {
		yield* ask(name, what as never);
	} catch {}
}

/** A server that takes no lock and binds one of the two spellings of the name. */
export function plainAbstract(isPadded: boolean): Program {
	const name = `server on the ${isPadded ? 'padded' : 'exact'} name`;
	const body = function* (): Body<undefined> {
		let server: number;
		try {
			server = yield* ask('bind', isPadded ? padded('s') : exact('s'));
		} catch {
			return undefined;
		}
		yield* ask('listen', server);
		yield* ask('close', server);
		return undefined;
	};
	return {name, ours: false, start: {name, holds: false, body}};
}
