/**
 * The first connect and the first bind of a process take some milliseconds, because their JavaScript is
 * compiled then: so a process that waits for an address does both once while it has the time, where
 * they cannot succeed, and takes over the faster.
 */
import {bypassing} from './server.js';
import {boundTo} from './sockets.js';

let done = false;

/** Below a file of /proc there is nothing, and nothing can be made. */
const nowhere = '/proc/self/stat/bindlock';

export function rehearse(): void {
	if (done) return;
	done = true;
	const {connect, createServer} = process.getBuiltinModule('node:net');
	connect({path: nowhere}).on('error', () => {});
	createServer()
		.on('error', () => {})
		.listen(bypassing({path: nowhere, exclusive: true}))
		.unref();
	boundTo(nowhere, {dev: 0, ino: 0, type: 'socket', nlink: 1, size: 0, uid: 0});
}
