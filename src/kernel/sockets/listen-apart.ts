/**
 * Listening without accepting connections.
 *
 * libuv accepts the connections of each handle that listens, and cannot be told to stop. So another process calls
 * listen(2), which concerns the socket and not the process, and ends before its event loop runs. Clients wait in the
 * backlog from then on. The socket blocks then, as programs in most languages expect of one that they inherit; libuv had
 * made it non-blocking.
 */
import {once} from 'node:events';
import type {BoundDescriptor} from './bound-descriptor.js';

const script = `
const server = require('net').createServer().listen({fd: 3}, Number(process.argv[1]));
server._handle?.setBlocking(true);
process.exit(server.listening ? 0 : 1);`;

/** @throws an error if the socket cannot listen */
export async function listenApart({descriptor}: BoundDescriptor, backlog: number): Promise<void> {
	const {spawn} = process.getBuiltinModule('node:child_process');
	const child = spawn(process.execPath, ['-e', script, String(backlog)], {
		stdio: ['ignore', 'ignore', 'ignore', descriptor],
		env: {...process.env, NODE_OPTIONS: ''},
	});
	const [status] = await once(child, 'exit');
	if (status !== 0) throw new Error(`listen(2) failed in a process of its own, with status ${status}`);
}
