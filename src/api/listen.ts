/**
 * `listen`: acquires an address, binds a server, and releases the address when the server closes.
 */
import type {Server} from 'node:net';
import {receiveInheritance} from '../hand-over/successor.js';
import {parseAddress} from '../kernel/address-parser.js';
import {openInotify} from '../kernel/files/inotify.js';
import {isServer} from '../kernel/node/net-server.js';
import {passedSocket} from '../kernel/sockets/passed-sockets.js';
import {Loss} from '../lock/loss.js';
import {takeAddress} from '../lock/take.js';
import {BindLockError} from '../model/errors.js';
import {checkListenOptions} from '../model/option-checks.js';
import type {ListenOptions} from '../model/options.js';
import {BoundServer} from '../server/bound-server.js';
import {isPending, PendingListen} from '../server/pending-listen.js';
import type {ServerLock} from '../server/server-lock.js';

/**
 * Locks an address, lets a server listen on it, and releases it when the server stops listening. Open connections
 * continue. On close, only the server's own socket file is removed.
 *
 * If this process was started with a socket that is bound to the address (`LISTEN_FDS`, as by a `.socket` unit of
 * systemd), the server listens on that, and its file stays.
 *
 * @param server of `node:net`, `node:http`, `node:https`, `node:http2` or a framework; not listening
 * @throws BindLockError `EADDRINUSE` if another process has the address, `ERR_SERVER_ALREADY_LISTEN`, and others:
 * docs/errors.md
 *
 * @example
 * ```ts
 * const server = http.createServer(handler);
 * await listen(server, '/run/app.sock');
 * ```
 */
export async function listen(server: Server, address: string, options: ListenOptions = {}): Promise<ServerLock> {
	const parsed = parseAddress(address);
	const checked = checkListenOptions(address, options);
	refuseUnlessIdle(server, address);
	const loss = new Loss();
	const pending = new PendingListen(server, address, checked.signal);
	try {
		const inheritance = await receiveInheritance(parsed, checked);
		openInotify();
		const passed = inheritance === undefined ? passedSocket(parsed) : undefined;
		const lock = inheritance?.lock ?? (await takeAddress(parsed, {...checked, signal: pending.signal}, loss, passed));
		pending.settle();
		return await new BoundServer(server, parsed, checked, lock, loss, passed).start(inheritance, pending.signal);
	} finally {
		pending.settle();
	}
}

function refuseUnlessIdle(server: Server, address: string): void {
	if (!isServer(server)) {
		throw new BindLockError('The server must be a net.Server, or an instance of a subclass', {
			code: 'ERR_INVALID_ARG_TYPE',
			address,
		});
	}
	if (server.listening || isPending(server)) {
		throw new BindLockError('The server already listens, or is about to; pass a server that does not', {
			code: 'ERR_SERVER_ALREADY_LISTEN',
			address,
		});
	}
}
