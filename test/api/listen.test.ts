/**
 * Tests `listen` with each kind of server, from the bind to the release.
 */
import {once} from 'node:events';
import {lstatSync, mkdirSync, symlinkSync} from 'node:fs';
import {createServer as createHttpServer, request} from 'node:http';
import {connect as connectHttp2, createServer as createHttp2Server, createSecureServer} from 'node:http2';
import {createServer as createHttpsServer, request as requestHttps} from 'node:https';
import {connect, createServer, Server, type Socket} from 'node:net';
import {join} from 'node:path';
import {connect as connectTls} from 'node:tls';
import test from 'ava';
import {BindLockError, inspect, listen} from '../../src/index.js';
import {noOpenssl, testUnless} from '../helpers/abilities.js';
import {type Certificate, makeCertificate} from '../helpers/certificate.js';
import {until, withDeadline} from '../helpers/deadlines.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {namesIn} from '../helpers/tree.js';

checkLeaks();

interface Kind {
	readonly create: (certificate: Certificate) => Server;
	/** Connects, and returns the whole answer of the server. */
	readonly ask: (path: string) => Promise<string>;
	readonly obstacle?: string | undefined;
}

const hello = 'hello from here';

function textOf(stream: NodeJS.ReadableStream): Promise<string> {
	return new Promise((resolve, reject) => {
		let text = '';
		stream
			.setEncoding('utf8')
			.on('error', reject)
			.on('end', () => resolve(text));
		stream.on('data', chunk => {
			text += chunk;
		});
	});
}

function askHttp2(url: string, createConnection: () => Socket): Promise<string> {
	return new Promise((resolve, reject) => {
		const session = connectHttp2(url, {createConnection}).on('error', reject);
		const stream = session.request({':path': '/'});
		void textOf(stream).then(text => session.close(() => resolve(text)), reject);
	});
}

const insecure = {rejectUnauthorized: false};

const kinds: Readonly<Record<string, Kind>> = {
	net: {
		create: () => createServer(socket => socket.end(hello)),
		ask: path => textOf(connect(path)),
	},
	http: {
		create: () => createHttpServer((_, response) => response.end(hello)),
		ask: async path => textOf((await once(request({socketPath: path, agent: false}).end(), 'response'))[0]),
	},
	https: {
		create: certificate => createHttpsServer(certificate, (_, response) => response.end(hello)),
		ask: async path =>
			textOf((await once(requestHttps({socketPath: path, agent: false, ...insecure}).end(), 'response'))[0]),
		obstacle: noOpenssl(),
	},
	'http2 without TLS': {
		create: () => createHttp2Server((_, response) => response.end(hello)),
		ask: path => askHttp2('http://localhost', () => connect(path)),
	},
	'http2 with TLS': {
		create: certificate => createSecureServer(certificate, (_, response) => response.end(hello)) as Server,
		ask: path => askHttp2('https://localhost', () => connectTls({path, ALPNProtocols: ['h2'], ...insecure})),
		obstacle: noOpenssl(),
	},
};

for (const [name, {create, ask, obstacle}] of Object.entries(kinds)) {
	testUnless(obstacle)(`a server of ${name} reclaims, serves, refuses others and releases`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		await makeStale(address);
		const server = create(name.includes('TLS') || name === 'https' ? makeCertificate(t) : {key: '', cert: ''});
		for (const end of ['close', 'release']) {
			const lock = await listen(server, address, {label: name});
			t.true(server.listening);
			t.is(lock.reclaimed, end === 'close');
			t.is(await ask(address), hello);
			const error = await t.throwsAsync(listen(createServer(), address), {
				instanceOf: BindLockError,
				code: 'EADDRINUSE',
			});
			t.like(error?.holder, {pid: process.pid, label: name});
			t.is(await ask(address), hello, 'undisturbed');
			const closed = once(server, 'close');
			if (end === 'close') server.close();
			else await lock.release();
			await withDeadline(closed);
			t.like(lock, {held: false});
			t.false(server.listening);
			t.deepEqual(namesIn(directory), ['s.lock']);
			t.is((await inspect(address)).state, 'free');
		}
	});
}

test.serial('release() stops listening and keeps open connections', async t => {
	const address = join(temporaryDirectory(t), 's');
	const server = createServer(socket => socket.pipe(socket));
	const lock = await listen(server, address);
	const client = connect(address).setEncoding('utf8');
	client.write('one');
	t.deepEqual(await once(client, 'data'), ['one']);

	await lock.release();
	t.false(server.listening);
	t.is(await reach(address), 'ENOENT');
	client.write('two');
	t.deepEqual(await once(client, 'data'), ['two']);

	const next = start(t, 'holder', ['listen', address]);
	t.like(await next.expect('held'), {reclaimed: false});
	t.is(await reach(address), next.pid);
	client.write('three');
	t.deepEqual(await once(client, 'data'), ['three']);
	client.destroy();
	await once(server, 'close');
	t.is(await reach(address), next.pid);
});

test.serial('server.close() releases the lock at once, even with an open connection', async t => {
	const address = join(temporaryDirectory(t), 's');
	const server = createServer(socket => socket.pipe(socket));
	const lock = await listen(server, address);
	const client = connect(address);
	await once(client, 'connect');
	let closed = false;
	server.close(() => {
		closed = true;
	});
	t.false(lock.held);
	t.false(closed);
	await (await listen(createServer(), address)).release();
	client.destroy();
	await until(() => closed, 'the callback of close()');
});

test.serial('a server whose own close() releases the lock closes once, by release() and by close()', async t => {
	for (const way of ['release', 'close'] as const) {
		const directory = temporaryDirectory(t);
		let closes = 0;
		const server = new (class extends Server {
			override close(callback?: (error?: Error) => void): this {
				closes++;
				t.true(way === 'close' || !lock.held);
				void lock.release();
				return super.close(callback);
			}
		})();
		const lock = await listen(server, join(directory, 's'));
		if (way === 'release') await lock.release();
		else await new Promise(resolve => server.close(resolve));
		t.is(closes, way === 'release' ? 1 : 2);
		t.false(lock.held);
		t.deepEqual(namesIn(directory), ['s.lock']);
		await (await listen(new Server(), join(directory, 's'))).release();
	}
});

test.serial('server.close() keeps its callback, its event, and its error on a second call', async t => {
	const address = join(temporaryDirectory(t), 's');
	const server = createServer();
	const listeners = () => server.eventNames().map(name => [name, server.listenerCount(name)]);
	const before = listeners();
	await listen(server, address);
	t.deepEqual(listeners(), before, 'listen leaves no event listener');
	const event = once(server, 'close');
	t.is(await new Promise(resolve => server.close(resolve)), undefined);
	await event;
	t.like(await new Promise(resolve => server.close(resolve)), {code: 'ERR_SERVER_NOT_RUNNING'});
});

test.serial('one server can serve two addresses, one after the other', async t => {
	const directory = temporaryDirectory(t);
	const server = createServer(socket => socket.end(hello));
	for (const name of ['a', 'b', 'a']) {
		const lock = await listen(server, join(directory, name));
		t.is(await kinds['net']?.ask(join(directory, name)), hello);
		await lock.release();
	}
	t.deepEqual(namesIn(directory), ['a.lock', 'b.lock']);
});

for (const [name, {create}] of Object.entries(kinds)) {
	// The event 'close' of the first run comes while the next one already listens.
	test.serial(`a server of ${name} can listen again right after its release`, async t => {
		const directory = temporaryDirectory(t);
		const server = create({key: '', cert: ''});
		const first = await listen(server, join(directory, 'a'));
		await first.release();
		await listen(server, join(directory, 'a'));
		server.close();
		const third = await listen(server, join(directory, 'b'));
		t.true(third.held && server.listening);
		t.deepEqual(namesIn(directory), ['a.lock', 'b', 'b.lock']);
		await third.release();
	});
}

test.serial('release() stops listening even if server.close() throws or waits', async t => {
	const address = join(temporaryDirectory(t), 's');
	const endings: Record<string, (server: Server) => Server> = {
		throws: () => {
			throw new Error('not today');
		},
		'waits for something': server => {
			setImmediate(() => Server.prototype.close.call(server));
			return server;
		},
	};
	for (const [title, close] of Object.entries(endings)) {
		const server = createServer();
		server.close = () => close(server);
		const lock = await listen(server, address);
		const closed = once(server, 'close');
		await lock.release();
		t.false(server.listening, title);
		t.is((await inspect(address)).state, 'free', title);
		await closed;
	}
});

test.serial('the socket file has the mode that Node sets, or socketMode', async t => {
	const address = join(temporaryDirectory(t), 's');
	const umask = process.umask(0o077);
	t.teardown(() => process.umask(umask));
	const modeOf = () => lstatSync(address).mode & 0o7777;
	// The modes depend on the version of libuv, for both options together and for each alone.
	for (const options of [{}, {readableAll: true}, {writableAll: true}, {readableAll: true, writableAll: true}]) {
		const alone = createServer().listen({path: address, ...options});
		const expected = modeOf();
		alone.close();
		await using _lock = await listen(createServer(), address, options);
		t.is(modeOf(), expected, JSON.stringify(options));
		if (options.readableAll) t.is(expected & 0o444, 0o444);
		if (options.writableAll) t.is(expected & 0o222, 0o222);
	}
	for (const socketMode of [0o660, 0o600, 0o777, 0]) {
		await using _lock = await listen(createServer(), address, {socketMode, writableAll: true});
		t.is(modeOf(), socketMode);
	}
});

test.serial('backlog limits the connections that wait to be accepted', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const [options, refused] of [
		[{backlog: 2}, true],
		[{}, false],
	] as const) {
		const server = createServer(socket => socket.destroy());
		const lock = await listen(server, address, options);
		// All clients connect before the server can accept one.
		const answers = Array.from({length: 20}, () => {
			const client = connect(address);
			return new Promise(resolve => {
				client
					.on('close', () => resolve('connected'))
					.on('error', error => resolve((error as NodeJS.ErrnoException).code));
			});
		});
		t.is((await Promise.all(answers)).includes('EAGAIN'), refused);
		await lock.release();
	}
});

test.serial(
	'.. after a symbolic link: the address is locked, bound and removed where the kernel resolves it',
	async t => {
		const directory = temporaryDirectory(t);
		for (const name of ['real/sub', 'other']) mkdirSync(join(directory, name), {recursive: true});
		symlinkSync(join(directory, 'real', 'sub'), join(directory, 'other', 'link'));
		const path = `${directory}/other/link/../s`;
		const plain = createServer().listen(path);
		await once(plain, 'listening');
		t.deepEqual(await namesIn(join(directory, 'real')), ['s', 'sub']);
		await t.throwsAsync(listen(createServer(), path), {code: 'EADDRINUSE'});
		plain.close();
		const lock = await listen(createServer(), path);
		t.is(lock.lockPath, join(directory, 'real', 's.lock'));
		t.like(await inspect(join(directory, 'real', 's')), {state: 'held'});
		await lock.release();
		t.deepEqual(await namesIn(join(directory, 'other')), ['link']);
	},
);
