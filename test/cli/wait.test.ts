/**
 * Tests `bindlock wait` on real sockets.
 */
import {existsSync} from 'node:fs';
import {createServer, type Server} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {noNetworkNamespaces, noPython, python, testUnless} from '../helpers/abilities.js';
import {bindlock, jsonLines, kill, startBindlock, startLasting} from '../helpers/command.js';
import {withDeadline} from '../helpers/deadlines.js';
import {startCommand, temporaryDirectory} from '../helpers/programs.js';
import {makeStaleSync, serveNaively, startSocket} from '../helpers/sockets.js';

test('wait returns when a server listens, and does not connect to it', async t => {
	const address = join(temporaryDirectory(t), 's');
	const waiter = startBindlock(t, ['wait', address, '--json', '--timeout', '20s']);
	let connections = 0;
	const server: Server = createServer(() => connections++).listen(address);
	t.teardown(() => server.close());
	const line = JSON.parse(String((await waiter.expect('line'))['line'])) as Record<string, unknown>;
	t.like(line, {address, for: 'listening', reached: true});
	t.is((await withDeadline(waiter.exited)).code, 0);
	t.is(connections, 0);
});

testUnless(noPython())('wait --for listening: a socket that is bound but does not listen', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startSocket(t, 'bound', address);
	const {status, stderr} = await bindlock(['wait', address, '--timeout', '100ms']);
	t.is(status, 75);
	t.regex(stderr, /not listening after \d+ ms: a server is bound to it and does not listen yet/);
	const datagram = `${address}2`;
	await startSocket(t, 'datagram', datagram);
	t.is((await bindlock(['wait', datagram, '--timeout', '20s'])).status, 0);
});

test('wait: a stale socket is not listening, and is free', async t => {
	const address = join(temporaryDirectory(t), 's');
	makeStaleSync(address);
	t.is((await bindlock(['wait', address, '--timeout', '50ms'])).status, 75);
	t.is((await bindlock(['wait', address, '--for', 'free', '--timeout', '50ms'])).status, 0);
	t.true(existsSync(address));
});

test('wait --for free returns when the holder has ended, and names the holder at a timeout', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {pid} = await startLasting(t, [address]);
	const late = await bindlock(['wait', address, '--for', 'free', '--timeout', '50ms', '--json']);
	t.is(late.status, 75);
	t.like(jsonLines(late.stdout)[0], {reached: false, for: 'free'});
	const waiter = startBindlock(t, ['wait', address, '--for=free']);
	kill(pid, 'SIGKILL');
	t.is((await withDeadline(waiter.exited)).code, 0);
});

test('wait for an abstract name', async t => {
	const name = `bindlock-test-${process.pid}-wait`;
	const waiter = startBindlock(t, ['wait', `@${name}`]);
	serveNaively(t, `\0${name}`);
	t.is((await withDeadline(waiter.exited)).code, 0);
});

testUnless(noNetworkNamespaces(), noPython())('wait asks a server of another network namespace', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `import socket,sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); print('up', flush=True); sys.stdin.read()`;
	const server = startCommand(t, python, ['-c', script, address], {before: ['unshare', '--net']});
	await server.expect('line');
	t.is((await bindlock(['wait', address, '--timeout', '20s'])).status, 0);
	server.end();
});

test('wait: wrong command lines exit with 64', async t => {
	for (const args of [['wait'], ['wait', 'a', 'b'], ['wait', 'a', '--for', 'x'], ['wait', 'a', '--timeout', 'x']]) {
		t.is((await bindlock(args)).status, 64, args.join(' '));
	}
});
