/**
 * `inspect`: what is the state of an address? It takes nothing and disturbs nobody.
 */
import {parseAddress} from '../kernel/address-parser.js';
import {NodeSystem, ownUid} from '../kernel/node-system.js';
import {namespaceOf} from '../kernel/procfs.js';
import type {BindLockError} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {run} from '../model/system.js';
import {look, lookAtName} from '../protocol/inspection.js';

/** The state of an address, as it was a moment ago. */
export interface Inspection {
	/**
	 * `'free'`: nothing is there. `'stale'`: a socket that no process is bound to; `acquire` removes it.
	 * `'held'`: somebody has the lock. `'foreign'`: a server that takes no lock is bound there.
	 * `'blocked'`: it could not be taken, or not be bound; see `reason`.
	 */
	readonly state: 'free' | 'stale' | 'held' | 'foreign' | 'blocked';
	/** As it was given. */
	readonly address: string;
	/** The lock file; `undefined` for an abstract address. */
	readonly lockPath: string | undefined;
	/** For an abstract address the network namespace in which all this is true, as `/proc/self/ns/net` names it: others have names of their own. */
	readonly networkNamespace?: string;
	/** What lies at the address. */
	readonly found: 'nothing' | 'socket' | 'file' | 'directory' | 'symlink' | 'other';
	/** Who has the lock, or is bound there; absent if that cannot be seen from here. */
	readonly holder?: Holder;
	/** Why it is blocked: what `acquire` would fail with, or the bind after it. */
	readonly reason?: BindLockError;
}

/**
 * Tells free, stale, held, foreign and blocked apart. It never locks, so it can make no `acquire`
 * fail, and it connects only to a socket file to which no process is seen to be bound. Of a socket file that refuses
 * the connection it sets the change time (`ctime`), and nothing else: that tells a dead one from one that does not
 * listen yet.
 *
 * @throws BindLockError for an address that cannot be one
 */
export async function inspect(address: string): Promise<Inspection> {
	const parsed = parseAddress(address);
	const system = new NodeSystem(address);
	if (parsed.kind === 'pathname') {
		const seen = await run(look(parsed, ownUid()), system);
		return {address, lockPath: parsed.lockPath, ...seen};
	}
	const seen = await run(lookAtName(parsed), system);
	return {address, lockPath: undefined, networkNamespace: namespaceOf('net'), ...seen};
}
