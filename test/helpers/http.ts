/**
 * Requests over a Unix socket.
 */
import {type Agent, get} from 'node:http';
import {text} from 'node:stream/consumers';

/** Returns the body of the answer to `GET path`. Without an agent, the connection is for this request only. */
export function getText(socketPath: string, path = '/', agent: Agent | false = false): Promise<string> {
	return new Promise((resolve, reject) => {
		get({socketPath, path, agent}, response => {
			text(response).then(resolve, reject);
		}).on('error', reject);
	});
}
