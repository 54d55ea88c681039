/**
 * A server that listens under a lock, and the ways to close it.
 */
import {createServer, type Server} from 'node:net';
import type {ExecutionContext} from 'ava';
import {type BindLock, listen} from '../../src/index.js';
import {until} from './deadlines.js';
import {contentOf, type Entry} from './tree.js';

type End = (server: Server, lock: BindLock) => Promise<unknown>;

export const ends: Readonly<Record<string, End>> = {
	'server.close()': (server, lock) => {
		server.close();
		return until(() => !lock.held, 'the lock given back');
	},
	'release()': (_, lock) => lock.release(),
};

export async function listening(t: ExecutionContext, address: string): Promise<{server: Server; lock: BindLock}> {
	const server = createServer();
	const lock = await listen(server, address, {heal: false});
	t.teardown(() => lock.release());
	return {server, lock};
}

export function entryOf(directory: string, name: string): Entry | undefined {
	return contentOf(directory).find(entry => entry.name === name);
}
