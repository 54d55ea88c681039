/**
 * The last resort of the probe: connect, see what the kernel says, disconnect.
 */
import type {Socket} from 'node:net';
import {maxNameBytes} from '../model/address.js';
import {codeOf} from '../model/errors.js';

/** A connection that is not begun yet, and has no descriptor. */
export interface Attempt {
	readonly socket: Socket;
	/** `'CONNECTED'`, or the code of the error. */
	readonly answer: Promise<string>;
}

/** To be made ahead where it matters how soon a connect is answered: half of what it costs are these objects. */
export function prepareConnect(): Attempt {
	const socket = new (process.getBuiltinModule('node:net').Socket)();
	const answer = new Promise<string>(resolve => {
		socket.on('connect', () => resolve('CONNECTED')).on('error', error => resolve(codeOf(error)));
	});
	return {socket, answer};
}

/**
 * @param prepared to be used once
 * @returns `'CONNECTED'`, or the code of the error: `'ECONNREFUSED'` if nobody is bound
 * @throws the signal's reason
 */
export async function connectOnce(
	path: string,
	pinned: number | undefined,
	signal: AbortSignal | undefined,
	prepared: Attempt = prepareConnect(),
): Promise<string> {
	if (pinned !== undefined) {
		// Through the pin it is this very inode that answers, and the path's length does not matter.
		const answer = await tryConnect(`/proc/self/fd/${pinned}`, signal, prepared);
		// ENOENT: no /proc here. The inode itself is there as long as the pin is.
		if (answer !== 'ENOENT') return answer;
	}
	// Node 20 and 22 would cut it, and ask somebody else.
	if (Buffer.byteLength(path) > maxNameBytes) return 'ENAMETOOLONG';
	return tryConnect(path, signal, pinned === undefined ? prepared : prepareConnect());
}

/** The answer comes at once: libuv's sockets do not block, so that a full backlog is EAGAIN (`connect(2)`). */
async function tryConnect(path: string, signal: AbortSignal | undefined, {socket, answer}: Attempt): Promise<string> {
	try {
		socket.connect({path});
		const code = await answer;
		signal?.throwIfAborted();
		return code;
	} finally {
		socket.destroy();
	}
}
