/**
 * Runs the shipped protocol on this machine, with hooks between it and the kernel.
 */

import {parseAddress} from '../../src/kernel/address-parser.js';
import {NodeSystem} from '../../src/kernel/node-system.js';
import type {PathnameAddress} from '../../src/model/address.js';
import {run, runSync} from '../../src/model/driver.js';
import {formatRecord} from '../../src/model/record.js';
import type {System} from '../../src/model/system.js';
import {releaseLock} from '../../src/protocol/held-lock.js';
import {noPatience} from '../../src/protocol/holder-wait.js';
import type {Claim} from '../../src/protocol/lock-file.js';
import {type TakenLock, takePathname} from '../../src/protocol/pathname.js';

export function pathname(given: string): PathnameAddress {
	const address = parseAddress(given);
	if (address.kind === 'pathname') return address;
	throw new Error(`${given} is no pathname`);
}

export const claim: Claim = {
	uid: process.geteuid?.(),
	reclaimForeign: false,
	lockFileMode: 0o600,
	record: (fd = 0) => formatRecord({pid: process.pid, fd, since: new Date().toISOString(), label: 'test'}),
	patience: noPatience,
};

export async function takeWith(system: System, address: string): Promise<TakenLock> {
	return await run(takePathname(pathname(address), claim), system);
}

/** Takes an address synchronously, for example within another process's attempt. The address must need no probe. */
export function takeSync(address: string): TakenLock {
	return runSync(takePathname(pathname(address), claim), new NodeSystem(address));
}

export function giveBack(address: string, taken: TakenLock, options: {readonly removeLockFile?: boolean} = {}): void {
	const {removeLockFile = false} = options;
	runSync(releaseLock(pathname(address).lockPath, taken, removeLockFile), new NodeSystem(address));
}

/** Replacements for calls. `proceed()` makes the call itself. */
export type Changes = {
	readonly [Name in keyof System]?: (
		proceed: () => ReturnType<System[Name]>,
		...parameters: Parameters<System[Name]>
	) => ReturnType<System[Name]>;
};

/** Returns the real System with some calls replaced. */
export function systemWith(changes: Changes): System {
	return wrap((name, proceed, parameters) => {
		const change = changes[name] as ((...all: readonly unknown[]) => unknown) | undefined;
		return change === undefined ? proceed() : change(proceed, ...parameters);
	});
}

/** Returns the real System with a hook before each call. */
export function wrap(
	between: (name: keyof System, proceed: () => unknown, parameters: readonly unknown[]) => unknown,
): System {
	const system = new NodeSystem('') as unknown as Record<string, (...parameters: readonly unknown[]) => unknown>;
	return new Proxy({} as System, {
		get:
			(_, name: string) =>
			(...parameters: readonly unknown[]) =>
				between(name as keyof System, () => system[name]?.(...parameters), parameters),
	});
}

/** Returns a function that runs the action on its first call only. */
export function once(action: () => void): () => void {
	let done = false;
	return () => {
		if (done) return;
		done = true;
		action();
	};
}
