/**
 * Tests the drain: which connections of a server that has stopped listening end, and when.
 */
import {subscribe} from 'node:diagnostics_channel';
import {once} from 'node:events';
import http, {type ServerResponse} from 'node:http';
import http2 from 'node:http2';
import {connect, createServer, type Socket} from 'node:net';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import tls from 'node:tls';
import test, {type ExecutionContext} from 'ava';
import {WebSocket, WebSocketServer} from 'ws';
import {type ListenOptions, listen, type ServerLock} from '../../src/index.js';
import {noOpenssl, testUnless} from '../helpers/abilities.js';
import {makeCertificate} from '../helpers/certificate.js';
import {until, withDeadline} from '../helpers/deadlines.js';
import {registerUrl} from '../helpers/library.js';
import {startCommand, temporaryDirectory} from '../helpers/programs.js';

interface Client {
	readonly socket: Socket;
	/** All bytes that the server has sent. */
	received: string;
	readonly ended: Promise<unknown>;
}

function client(t: ExecutionContext, address: string): Client {
	const socket = connect(address);
	const result = {socket, received: '', ended: once(socket, 'close')};
	socket
		.on('error', () => {})
		.on('data', data => {
			result.received += data;
		});
	t.teardown(() => socket.destroy());
	return result;
}

const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

/** An HTTP server whose requests wait for the test to answer. */
async function serve(t: ExecutionContext, options: ListenOptions = {}): Promise<Served> {
	const address = join(temporaryDirectory(t), 's');
	const asked: ServerResponse[] = [];
	const server = http.createServer((_request, response) => asked.push(response));
	const lock = await listen(server, address, options);
	t.teardown(() => {
		server.closeAllConnections();
		return lock.release();
	});
	return {address, asked, server, lock};
}

interface Served {
	readonly address: string;
	readonly asked: ServerResponse[];
	readonly server: http.Server;
	readonly lock: ServerLock;
}

async function requests(asked: readonly unknown[], count: number): Promise<void> {
	await until(() => asked.length === count, `request ${count}`);
}

/** Makes the first request of the test. The connection is idle afterwards. */
async function useOnce(one: Client, asked: readonly ServerResponse[]): Promise<void> {
	one.socket.write(request);
	await requests(asked, 1);
	asked[0]?.end('answered');
	await until(() => one.received.includes('answered'), 'the answer');
}

test('a request in progress, and one that was just sent, are answered with Connection: close', async t => {
	const {address, asked, lock} = await serve(t);
	const [early, late] = [client(t, address), client(t, address)];
	early.socket.write(request);
	late.socket.write(request);
	await requests(asked, 2);
	asked[1]?.end('kept');
	await until(() => late.received.endsWith('kept\r\n0\r\n\r\n') || late.received.endsWith('kept'), 'the first answer');
	t.regex(late.received, /connection: keep-alive/is);
	// Sent, and not read before the server stops.
	late.socket.write(request);
	await lock.release();
	await requests(asked, 3);
	asked[0]?.end('early');
	asked[2]?.end('late');
	await withDeadline(Promise.all([early.ended, late.ended]));
	for (const each of [early, late]) t.regex(each.received, /connection: close.*(early|late)/is);
	t.is(await lock.drained, 0);
});

test('an idle connection is closed after a second, a busy one is not', async t => {
	const {address, asked, lock} = await serve(t, {drainMs: Number.POSITIVE_INFINITY});
	const [used, busy] = [client(t, address), client(t, address)];
	await useOnce(used, asked);
	busy.socket.write(request);
	await requests(asked, 2);
	await lock.release();
	await withDeadline(used.ended);
	t.false(busy.socket.destroyed);
	asked[1]?.end('busy');
	await withDeadline(busy.ended);
	t.regex(busy.received, /busy/);
	t.is(await lock.drained, 0);
});

test('half a request is not idle', async t => {
	const {address, asked, lock} = await serve(t);
	const [slow, used] = [client(t, address), client(t, address)];
	slow.socket.write(request.slice(0, 20));
	// Node reads connections in the order in which they came.
	await useOnce(used, asked);
	await lock.release();
	await withDeadline(used.ended);
	slow.socket.write(request.slice(20));
	await requests(asked, 2);
	asked[1]?.end('whole');
	await withDeadline(slow.ended);
	t.regex(slow.received, /connection: close.*whole/is);
});

test('a connection whose response already has Connection: keep-alive is closed when it is idle', async t => {
	const {address, asked, lock} = await serve(t);
	const one = client(t, address);
	one.socket.write(request);
	await requests(asked, 1);
	await lock.release();
	asked[0]?.writeHead(200, {connection: 'keep-alive'}).end('kept');
	await withDeadline(one.ended);
	t.regex(one.received, /kept/);
	t.is(await lock.drained, 0);
});

test('drainMs: open requests are cut and counted, answered ones are not', async t => {
	const {address, asked, server, lock} = await serve(t, {drainMs: 300});
	const clients = Array.from({length: 3}, () => client(t, address));
	for (const each of clients) each.socket.write(request);
	await requests(asked, 3);
	const [one] = asked;
	const closed = once(server, 'close');
	await lock.release();
	one?.end('answered');
	t.is(await withDeadline(lock.drained), 2);
	await withDeadline(Promise.all(clients.map(each => each.ended)));
	t.is(clients.filter(each => each.received.includes('answered')).length, 1);
	await closed;
});

test('server.close() of the program drains, too; a server that listens again keeps its new connections', async t => {
	const {address, asked, server, lock} = await serve(t, {drainMs: 100});
	const old = client(t, address);
	old.socket.write(request);
	await requests(asked, 1);
	server.close();
	t.true(lock.drainSignal.aborted);
	const again = await listen(server, address, {drainMs: 100});
	t.teardown(() => again.release());
	t.is(await withDeadline(lock.drained), 0);
	const fresh = client(t, address);
	fresh.socket.write(request);
	await requests(asked, 2);
	asked[1]?.end('fresh');
	await until(() => fresh.received.includes('fresh'), 'the answer');
	t.regex(fresh.received, /connection: keep-alive/is);
	t.false(again.drainSignal.aborted);
	asked[0]?.end();
});

test('a net server: its connections stay open, and drainSignal and the channel notify the program', async t => {
	const address = join(temporaryDirectory(t), 's');
	const server = createServer(socket => socket.on('error', () => {}).pipe(socket));
	const lock = await listen(server, address, {drainMs: 50});
	const told: unknown[] = [];
	subscribe('bindlock:drain', message => {
		if ((message as {address: string}).address === address) told.push(message);
	});
	t.false(lock.drainSignal.aborted);
	const one = client(t, address);
	one.socket.write('before');
	await until(() => one.received === 'before', 'the echo');
	await lock.release();
	t.true(lock.drainSignal.aborted);
	t.deepEqual(told, [{address}]);
	t.is(await withDeadline(lock.drained), 0);
	one.socket.write(' after');
	await until(() => one.received === 'before after', 'the echo');
	one.socket.end();
	await one.ended;
});

test('a WebSocket stays open until the program closes it', async t => {
	const {address, server, lock} = await serve(t, {drainMs: 50});
	const sockets = new WebSocketServer({server});
	sockets.on('connection', socket => socket.on('message', data => socket.send(data)));
	const socket = new WebSocket(`ws+unix:${address}:/`);
	t.teardown(() => socket.terminate());
	await once(socket, 'open');
	await lock.release();
	t.is(await withDeadline(lock.drained), 0);
	socket.send('after');
	const [data] = (await withDeadline(once(socket, 'message'))) as [Buffer];
	t.is(data.toString(), 'after');
});

for (const isSecure of [false, true]) {
	testUnless(isSecure ? noOpenssl() : undefined)(
		`HTTP/2${isSecure ? ' over TLS' : ''}: open streams are answered, a later one is refused and can be repeated, the session ends`,
		async t => {
			const address = join(temporaryDirectory(t), 's');
			const asked: (() => void)[] = [];
			const answer = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse): void => {
				asked.push(() => response.end(request.url));
			};
			const server = isSecure
				? http2.createSecureServer({...makeCertificate(t), allowHTTP1: true}, answer)
				: http2.createServer(answer);
			const lock = await listen(server, address);
			const relay = await startRelay(t, address);
			const session = http2.connect(isSecure ? 'https://localhost' : 'http://localhost', {
				createConnection: () => raw(relay.address, isSecure),
			});
			t.teardown(() => session.destroy());
			const early = text(session.request({':path': '/early'}));
			await requests(asked, 1);
			relay.holdAnswers();
			await lock.release();
			// The client has not read GOAWAY.
			const late = text(session.request({':path': '/late'}));
			const goaway = once(session, 'goaway');
			relay.passAnswers();
			await withDeadline(goaway);
			t.true(session.closed, 'the client opens no more streams');
			await t.throwsAsync(withDeadline(late), {message: /REFUSED_STREAM/});
			for (const respond of asked) respond();
			t.is(await withDeadline(early), '/early');
			await until(() => session.destroyed, 'the end of the session');
			t.is(await withDeadline(lock.drained), 0);
		},
	);
}

test('HTTP/2: an idle session ends, and a stream that is not answered within drainMs is cut', async t => {
	const address = join(temporaryDirectory(t), 's');
	let asked = 0;
	const server = http2.createServer(() => asked++);
	const lock = await listen(server, address, {drainMs: 2500});
	const [idle, busy] = [0, 1].map(() => http2.connect('http://localhost', {createConnection: () => connect(address)}));
	if (idle === undefined || busy === undefined) throw new Error('two sessions');
	t.teardown(() => {
		for (const session of [idle, busy]) session.destroy();
	});
	await once(idle, 'remoteSettings');
	const stream = busy.request({':path': '/'});
	const failed = once(stream, 'close');
	stream.on('error', () => {});
	await until(() => asked === 1, 'the request');
	await lock.release();
	await withDeadline(once(idle, 'close'));
	t.is(await withDeadline(lock.drained), 1);
	await withDeadline(failed);
});

testUnless(noOpenssl())('HTTP/1 clients of an HTTP/2 server get Connection: close', async t => {
	const address = join(temporaryDirectory(t), 's');
	const asked: http2.Http2ServerResponse[] = [];
	const server = http2.createSecureServer({...makeCertificate(t), allowHTTP1: true}, (_request, response) =>
		asked.push(response),
	);
	const lock = await listen(server, address, {drainMs: 2500});
	const one = raw(address, true, ['http/1.1']);
	let received = '';
	one.on('data', data => {
		received += data;
	});
	one.write(request);
	await requests(asked, 1);
	asked[0]?.end('kept');
	await until(() => received.includes('kept'), 'the answer');
	await lock.release();
	one.write(request);
	await requests(asked, 2);
	asked[1]?.end('closed');
	await withDeadline(once(one, 'close'));
	t.regex(received, /connection: keep-alive.*connection: close.*closed/is);
	t.is(await lock.drained, 0);
});

test('bindlock/register drains, and BINDLOCK_DRAIN_MS sets the limit', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `
		const say = event => console.log(JSON.stringify({event}));
		const server = require('node:http').createServer(() => server.close(() => say('closed')));
		server.listen(process.argv[1], () => say('listening'));
		process.stdin.on('end', () => process.exit()).resume();`;
	const program = startCommand(t, process.execPath, ['--import', registerUrl, '--eval', script, address], {
		env: {BINDLOCK_DRAIN_MS: '200'},
	});
	await program.expect('listening');
	const one = client(t, address);
	one.socket.write(request);
	// The test never answers this request.
	await withDeadline(one.ended);
	await program.expect('closed');
	t.is(one.received, '');
});

test('a drain leaves no event listener', async t => {
	const {server, lock} = await serve(t);
	await lock.release();
	await withDeadline(lock.drained);
	t.is(server.listenerCount('request'), 1);
	t.is(server.listenerCount('listening'), 1, 'that of node:http');
	t.is(server.listenerCount('close'), 0);
});

/** A relay between a client and the server, which can hold back the output of the server. */
async function startRelay(
	t: ExecutionContext,
	to: string,
): Promise<{readonly address: string; holdAnswers(): void; passAnswers(): void}> {
	const address = join(temporaryDirectory(t), 'relay');
	const connections: [Socket, Socket][] = [];
	const server = createServer(from => {
		const upstream = connect(to);
		connections.push([upstream, from]);
		for (const each of [from, upstream]) each.on('error', () => {});
		from.pipe(upstream);
		upstream.pipe(from);
	}).listen(address);
	await once(server, 'listening');
	t.teardown(() => {
		for (const each of connections.flat()) each.destroy();
		server.close();
	});
	return {
		address,
		holdAnswers: () => {
			for (const [upstream, from] of connections) upstream.unpipe(from).pause();
		},
		passAnswers: () => {
			for (const [upstream, from] of connections) upstream.pipe(from);
		},
	};
}

function raw(address: string, isSecure: boolean, protocols: readonly string[] = ['h2']): Socket {
	const socket = connect(address);
	if (!isSecure) return socket;
	return tls.connect({socket, ALPNProtocols: [...protocols], rejectUnauthorized: false});
}
