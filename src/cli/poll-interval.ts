/**
 * The poll interval of `status --watch` and `wait` for servers on which each look costs a connection.
 */

import {statusOfPath} from '../kernel/files/file-status.js';
import {isServed} from '../kernel/sockets/pathname-owners.js';
import type {Inspection} from '../protocol/inspection.js';
import {parseAddressArgument} from './arguments.js';

/** The interval for a server that {@link answeredConnection}. */
export const connectionPollMs = 5000;

/**
 * Returns whether the inspection has connected to a live server: one to which no visible process is bound, such as a
 * server in another network namespace.
 */
export async function answeredConnection(text: string, {state, holder}: Inspection): Promise<boolean> {
	if (state !== 'foreign' || holder !== undefined) return false;
	const address = parseAddressArgument(text);
	if (address.kind === 'abstract') return false;
	const socket = statusOfPath(address.path);
	return socket?.type === 'socket' && (await isServed(address.path, socket)) === undefined;
}
