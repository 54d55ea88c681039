/**
 * One process of a storm: `actor.js ADDRESS`. It takes, serves and releases on command, and reports the times on the
 * clock that all processes share.
 */
import {readdirSync} from 'node:fs';
import {createServer, type Server} from 'node:net';
import {createInterface} from 'node:readline';
import {acquire, type BindLock, listen} from '../../src/index.js';
import type {Command} from './plan.js';

const [, , address = ''] = process.argv;
let server: Server = createServer();
let lock: BindLock | undefined;
let abort = new AbortController();

/** Returns `CLOCK_MONOTONIC` in milliseconds, which is the same for all processes of the machine. */
function now(): number {
	return Number(process.hrtime.bigint()) / 1e6;
}

function say(event: string, fields: object = {}): void {
	process.stdout.write(`${JSON.stringify({event, pid: process.pid, at: now(), ...fields})}\n`);
}

async function take({serves, waitMs, removeLockFile}: Extract<Command, {do: 'take'}>): Promise<void> {
	const began = now();
	abort = new AbortController();
	const options = {removeLockFile, signal: abort.signal, waitMs: waitMs ?? Number.POSITIVE_INFINITY};
	server = createServer(socket => void socket.on('error', () => {}).end(`${process.pid}\n`));
	try {
		lock = await (serves ? listen(server, address, options) : acquire(address, options));
		say('holds', {began});
	} catch (error) {
		const {code = 'ABORTED', message} = error as NodeJS.ErrnoException;
		say('refused', {began, code, message, descriptors: descriptors()});
	}
}

async function giveBack(how: 'release' | 'close'): Promise<void> {
	const lets = now();
	if (how === 'close' && server.listening) await new Promise(resolve => server.close(resolve));
	await lock?.release();
	say('free', {lets, descriptors: descriptors()});
}

function descriptors(): number {
	return readdirSync('/proc/self/fd').length;
}

createInterface({input: process.stdin})
	.on('line', line => {
		const command = JSON.parse(line) as Command;
		if (command.do === 'take') void take(command);
		else if (command.do === 'abort') abort.abort(new Error('enough'));
		else if (command.do === 'exit') process.exit(0);
		else void giveBack(command.do);
	})
	.on('close', () => process.exit(0));
say('ready');
