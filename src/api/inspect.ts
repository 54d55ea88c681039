/**
 * `inspect`: finds the state of an address without locking it.
 */
import {parseAddress} from '../kernel/address-parser.js';
import {NodeSystem} from '../kernel/node-system.js';
import {namespaceOf} from '../kernel/proc/namespaces.js';
import {run} from '../model/driver.js';
import {type Inspection, inspectAbstract, inspectPathname} from '../protocol/inspection.js';

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
		const seen = await run(inspectPathname(parsed, process.geteuid?.()), system);
		return {address, lockPath: parsed.lockPath, ...seen};
	}
	const seen = await run(inspectAbstract(parsed), system);
	return {address, lockPath: undefined, networkNamespace: namespaceOf('net'), ...seen};
}
