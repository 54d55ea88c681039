/**
 * `inspect`: finds the state of an address without locking it.
 */
import {parseAddress} from '../kernel/address-parser.js';
import {NodeSystem, ownUid} from '../kernel/node-system.js';
import {namespaceOf} from '../kernel/proc/namespaces.js';
import type {BindLockError} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {run} from '../model/system.js';
import {inspectAbstract, inspectPathname} from '../protocol/inspection.js';

/** The state of an address, as it was a moment ago. */
export interface Inspection {
	/**
	 * `'free'`: the path or name is unused. `'stale'`: a socket file that no process is bound to; the next start removes
	 * it. `'held'`: a process holds the lock. `'foreign'`: a server that takes no lock is bound. `'blocked'`: the address
	 * cannot be locked or bound; see `reason`.
	 */
	readonly state: 'free' | 'stale' | 'held' | 'foreign' | 'blocked';
	/** The address as it was given. */
	readonly address: string;
	/** The lock file; `undefined` for an abstract address. */
	readonly lockPath: string | undefined;
	/**
	 * For an abstract address: the network namespace of this process, as `/proc/self/ns/net` names it. The same name in
	 * another namespace is another address.
	 */
	readonly networkNamespace?: string;
	/** What is at the address. */
	readonly found: 'nothing' | 'socket' | 'file' | 'directory' | 'symlink' | 'other';
	/** The process that holds the lock or is bound; absent if it is not visible here. */
	readonly holder?: Holder;
	/** Why the address is blocked: the error of `acquire`, or of the bind after it. */
	readonly reason?: BindLockError;
}

/**
 * Finds the state of an address. It takes no lock, so it makes no `acquire` fail. It connects only to a socket file that
 * no visible process is bound to. If that refuses the connection, its change time (`ctime`) is set and nothing else:
 * this distinguishes a dead socket from one that does not listen yet.
 *
 * @throws BindLockError if the address is invalid
 */
export async function inspect(address: string): Promise<Inspection> {
	const parsed = parseAddress(address);
	const system = new NodeSystem(address);
	if (parsed.kind === 'pathname') {
		const seen = await run(inspectPathname(parsed, ownUid()), system);
		return {address, lockPath: parsed.lockPath, ...seen};
	}
	const seen = await run(inspectAbstract(parsed), system);
	return {address, lockPath: undefined, networkNamespace: namespaceOf('net'), ...seen};
}
