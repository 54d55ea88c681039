/**
 * Tests servers of real frameworks, without bindlock in their code, under `bindlock/register`, with real clients.
 */
import {execFile} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {Client, credentials} from '@grpc/grpc-js';
import test, {type ExecutionContext} from 'ava';
import {Agent, request} from 'undici';
import {WebSocket} from 'ws';
import {inspect} from '../../src/index.js';
import {service} from '../fixtures/frameworks/grpc.js';
import {lacking, testUnless} from '../helpers/abilities.js';
import {until} from '../helpers/deadlines.js';
import {registerUrl} from '../helpers/library.js';
import {type Program, type StartOptions, start, temporaryDirectory} from '../helpers/programs.js';

function serve(t: ExecutionContext, framework: string, address: string, options: StartOptions = {}): Program {
	return start(t, 'frameworks/serve', [framework, address], {nodeOptions: ['--import', registerUrl], ...options});
}

/** Returns the pid that answers an HTTP request. */
async function byHttp(address: string): Promise<number> {
	const dispatcher = new Agent({connect: {socketPath: address}});
	try {
		const {body} = await request('http://localhost/', {dispatcher});
		return Number(await body.text());
	} finally {
		await dispatcher.destroy();
	}
}

function byWebSocket(address: string): Promise<number> {
	return new Promise((resolve, reject) => {
		const socket = new WebSocket(`ws+unix:${address}:/`);
		socket.on('error', reject).on('message', data => {
			resolve(Number(String(data)));
			socket.terminate();
		});
	});
}

function byGrpc(address: string): Promise<number> {
	const client = new Client(`unix:${address.replace('@', '\0')}`, credentials.createInsecure());
	const {path, requestSerialize, responseDeserialize} = service.pid;
	return new Promise<number>((resolve, reject) => {
		client.makeUnaryRequest(path, requestSerialize, responseDeserialize, '?', (error, text) => {
			if (error === null) resolve(Number(text));
			else reject(error);
		});
	}).finally(() => client.close());
}

const clients: Readonly<Record<string, (address: string) => Promise<number>>> = {
	'node:http': byHttp,
	express: byHttp,
	fastify: byHttp,
	koa: byHttp,
	ws: byWebSocket,
	'engine.io': byHttp,
	grpc: byGrpc,
};

for (const [framework, ask] of Object.entries(clients)) {
	for (const kind of framework === 'grpc' ? ['a path', 'an abstract name'] : ['a path']) {
		test(`${framework}, ${kind}: a second server is refused, a killed server is replaced, a closed server leaves no socket`, async t => {
			const abstract = kind === 'an abstract name';
			const address = abstract ? `@bindlock-grpc-${process.pid}` : join(temporaryDirectory(t), 's');
			const first = serve(t, framework, address);
			await first.expect('serving');
			t.is(await ask(address), first.pid);
			const second = serve(t, framework, address);
			const {code, message} = await second.expect('refused');
			// gRPC reports only the message.
			t.true(code === 'EADDRINUSE' || String(message).includes('EADDRINUSE'), `${code}: ${message}`);
			t.is(await ask(address), first.pid);
			await first.kill();
			const third = serve(t, framework, address);
			await third.expect('serving');
			t.is(await ask(address), third.pid);
			third.send('close');
			await until(async () => (await inspect(address.replace('@', '\0'))).state === 'free', 'the address is free');
			if (!abstract) {
				t.false(existsSync(address));
				t.is(readFileSync(`${address}.lock`, 'utf8'), '');
			}
		});
	}
}

testUnless(lacking('curl'))('curl reaches the server by its path', async t => {
	const address = join(temporaryDirectory(t), 's');
	const server = serve(t, 'express', address);
	await server.expect('serving');
	const {stdout} = await promisify(execFile)('curl', ['--silent', '--unix-socket', address, 'http://localhost/']);
	t.is(Number(stdout), server.pid);
});

test('as in a restart by pm2 and nodemon, the new server waits for the old one', async t => {
	const address = join(temporaryDirectory(t), 's');
	const env = {BINDLOCK_WAIT_MS: '20000'};
	let old = serve(t, 'fastify', address, {env});
	await old.expect('serving');
	for (let restart = 0; restart < 3; restart++) {
		const next = serve(t, 'fastify', address, {env});
		t.is(await byHttp(address), old.pid);
		old.send('close');
		await next.expect('serving');
		t.is(await byHttp(address), next.pid);
		old = next;
	}
});
