/**
 * What a process that waits does meanwhile: nothing that anybody else could notice, and once.
 */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {readdirSync, readFileSync} from 'node:fs';
import type {Socket} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire} from '../src/index.js';
import {checkLeaks} from './helpers/leaks.js';
import {thisNode} from './helpers/node-versions.js';
import {start, temporaryDirectory, until} from './helpers/programs.js';

checkLeaks();

/** Seven rounds with a client each, and with a probe, which Node publishes from 22 on. */
const rehearsed = thisNode < 22 ? 7 : 14;

test.serial('the first wait of a process rehearses, and leaves nothing behind', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const holder = start(t, 'holder', ['listen', address]);
	await holder.expect('held');
	const warnings: Error[] = [];
	process.on('warning', warning => warnings.push(warning));
	const sockets: Socket[] = [];
	const note = (message: unknown): void => void sockets.push((message as {socket: Socket}).socket);
	subscribe('net.client.socket', note);
	t.teardown(() => unsubscribe('net.client.socket', note));

	const rehearsals: number[] = [];
	for (let round = 0; round < 2; round++) {
		sockets.length = 0;
		const abort = new AbortController();
		const waiting = acquire(address, {waitMs: 20_000, signal: abort.signal});
		await until(() => round > 0 || sockets.length === rehearsed, 'the rehearsals');
		await until(() => sockets.every(socket => socket.destroyed), 'their end');
		abort.abort(new Error('enough'));
		await t.throwsAsync(waiting, {message: 'enough'});
		rehearsals.push(sockets.length);
	}
	t.deepEqual(rehearsals, [rehearsed, 0]);
	t.notRegex(readFileSync('/proc/net/unix', 'latin1'), new RegExp(`bindlock-rehearsal-${process.pid}-`));
	t.deepEqual(readdirSync(directory).sort(), ['s', 's.lock']);
	t.deepEqual(warnings, []);
	await holder.kill();
});
