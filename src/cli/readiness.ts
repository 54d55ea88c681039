/**
 * Whether a server would hear a client, found out without being one, as far as the kernel tells.
 */

import {NodeSystem} from '../kernel/node-system.js';
import {connectOnce} from '../kernel/probe.js';
import {isServed} from '../kernel/socket-owners.js';
import {isNameServed} from '../kernel/unix-sockets.js';
import {type Address, maxNameBytes} from '../model/address.js';

/** @returns `'listening'`, or why not */
export async function isListening(address: Address): Promise<'listening' | string> {
	if (address.kind === 'abstract') return isNameServed(address.name) ? 'listening' : 'no server is bound to it';
	const socket = new NodeSystem(address.given).lstat(address.path);
	if (socket === undefined) return 'nothing is there';
	if (socket.type !== 'socket') return 'it is not a socket';
	const served = await isServed(address.path, socket);
	if (served !== undefined) return served ? 'listening' : 'a server is bound to it and does not listen yet';
	// Nobody in this network namespace: so it is dead, and refuses, or of another one, and then there
	// is no other way to know.
	const path = Buffer.byteLength(address.path) > maxNameBytes ? address.bindPath : address.path;
	const answer = await connectOnce(path, undefined, undefined);
	if (answer === 'CONNECTED' || answer === 'EAGAIN' || answer === 'EPROTOTYPE') return 'listening';
	return answer === 'ECONNREFUSED' ? 'no server is bound to it' : `it cannot be asked (${answer})`;
}

/** Whether looking at it means connecting to it: a socket file to which no process in sight is bound. */
export async function isAskedByConnecting(address: Address): Promise<boolean> {
	if (address.kind === 'abstract') return false;
	const socket = new NodeSystem(address.given).lstat(address.path);
	return socket?.type === 'socket' && (await isServed(address.path, socket)) === undefined;
}
