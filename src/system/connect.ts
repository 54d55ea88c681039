/**
 * The last resort of the probe: connect, see what the kernel says, disconnect.
 */
import {maxNameBytes} from '../address.js';
import {codeOf} from '../errors.js';
import {wakeable} from './timers.js';

/** A Unix socket answers a connect at once; this only bounds what must not happen. */
const timeoutMs = 2000;

/**
 * @returns `'CONNECTED'`, or the code of the error: `'ECONNREFUSED'` if nobody is bound
 * @throws the signal's reason
 */
export async function connectOnce(
	path: string,
	pinned: number | undefined,
	signal: AbortSignal | undefined,
): Promise<string> {
	if (pinned !== undefined) {
		// Through the pin it is this very inode that answers, and the path's length does not matter.
		const answer = await tryConnect(`/proc/self/fd/${pinned}`, signal);
		// ENOENT: no /proc here. The inode itself is there as long as the pin is.
		if (answer !== 'ENOENT') return answer;
	}
	// Node 20 and 22 would cut it, and ask somebody else.
	return Buffer.byteLength(path) > maxNameBytes ? 'ENAMETOOLONG' : tryConnect(path, signal);
}

async function tryConnect(path: string, signal: AbortSignal | undefined): Promise<string> {
	const socket = process.getBuiltinModule('node:net').connect({path});
	let answer = 'ETIMEDOUT';
	try {
		await wakeable(performance.now() + timeoutMs, signal, wake => {
			socket.on('connect', () => {
				answer = 'CONNECTED';
				wake();
			});
			socket.on('error', error => {
				answer = codeOf(error);
				wake();
			});
		});
		return answer;
	} finally {
		socket.destroy();
	}
}
