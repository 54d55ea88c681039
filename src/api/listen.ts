/**
 * `listen`: acquire, bind, and release on close, in one call.
 */
import type {Server} from 'node:net';
import {succeed} from '../hand-over/successor.js';
import {parseAddress} from '../kernel/address-parser.js';
import {openInotify} from '../kernel/inotify.js';
import {Loss} from '../lock/loss.js';
import type {BindLock} from '../lock/owned-lock.js';
import {takeAddress} from '../lock/take.js';
import {BindLockError} from '../model/errors.js';
import {checkListenOptions} from '../model/option-checks.js';
import type {ListenOptions} from '../model/options.js';
import {Serving} from '../server/bound-server.js';
import {isPending} from '../server/pending-listen.js';
import {Starting} from '../server/starting.js';

/**
 * Takes the address, lets the server listen on it, and gives it back as soon as the server stops
 * listening; its open connections may go on. On closing, only a socket file of our own is removed.
 *
 * @param server of `node:net`, `node:http`, `node:https`, `node:http2` or a framework; not listening
 * @throws BindLockError `EADDRINUSE` if somebody else has the address, `ERR_SERVER_ALREADY_LISTEN`,
 * and others: see docs/errors.md
 *
 * @example
 * ```ts
 * const server = http.createServer(handler);
 * await listen(server, '/run/app.sock');
 * ```
 */
export async function listen(server: Server, address: string, options: ListenOptions = {}): Promise<BindLock> {
	const parsed = parseAddress(address);
	const checked = checkListenOptions(address, options);
	refuseUnlessIdleServer(server, address);
	const loss = new Loss();
	const starting = new Starting(server, address, checked.signal);
	try {
		const succession = await succeed(parsed, checked);
		openInotify();
		const taken = succession?.taken ?? (await takeAddress(parsed, {...checked, signal: starting.signal}, loss));
		starting.end();
		return await new Serving(server, parsed, checked, taken, loss).start(succession, starting.signal);
	} finally {
		starting.end();
	}
}

function refuseUnlessIdleServer(server: Server, address: string): void {
	if (!(server instanceof process.getBuiltinModule('node:net').Server)) {
		throw new BindLockError('The server must be a net.Server, or one of its subclasses', {
			code: 'ERR_INVALID_ARG_TYPE',
			address,
		});
	}
	if (server.listening || isPending(server)) {
		throw new BindLockError('The server listens already, or is about to; give it to listen() before that, and once', {
			code: 'ERR_SERVER_ALREADY_LISTEN',
			address,
		});
	}
}
