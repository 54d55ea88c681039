/**
 * Tests abstract names on the real kernel: a name is reserved before it is bound, and has one verified holder.
 */
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, inspect, listen} from '../../src/index.js';
import {parseAddress} from '../../src/kernel/address-parser.js';
import {noNetworkNamespaces, noPython, python, testUnless} from '../helpers/abilities.js';
import {until} from '../helpers/deadlines.js';
import {listeners, reach} from '../helpers/detectors.js';
import {type Program, start, startCommand, temporaryDirectory} from '../helpers/programs.js';

/** A name below a temporary directory, so that no other test uses it. */
function freshName(t: ExecutionContext): string {
	return join(temporaryDirectory(t), 's');
}

const script = `
import json, os, socket, sys
kind, name = sys.argv[1:]
types = {'datagram': socket.SOCK_DGRAM, 'seqpacket': socket.SOCK_SEQPACKET, 'stream': socket.SOCK_STREAM}
spelling, type = kind.split()
server = socket.socket(socket.AF_UNIX, types[type])
address = b'\\0' + name.encode()
server.bind(address.ljust(108, b'\\0') if spelling == 'padded' else address)
if type != 'datagram': server.listen(1)
print(json.dumps({'event': 'ready', 'pid': os.getpid()}), flush=True)
sys.stdin.read()
`;

async function startForeign(t: ExecutionContext, kind: string, name: string): Promise<Program> {
	const program = startCommand(t, python, ['-c', script, kind, name]);
	await program.expect('ready');
	return program;
}

test('a name is reserved before it is bound: no other process acquires it until the release or death of its holder', async t => {
	const name = freshName(t);
	const holder = start(t, 'holder', ['acquire', `unix:@${name}`]);
	await holder.expect('held');
	await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE', message: new RegExp(`held by pid ${holder.pid} `)});
	t.is(await reach(`\0${name}`), 'ECONNREFUSED');
	await holder.kill();
	const lock = await acquire(`\0${name}`);
	t.is(lock.reclaimed, false);
	t.is(lock.lockPath, undefined);
	const server = createServer(socket => socket.end(`${process.pid}`)).listen(`\0${name}`);
	await once(server, 'listening');
	t.is(await reach(`\0${name}`), process.pid);
	server.close();
	await lock.release();
	t.is(listeners(`\0${name}.lock`), 0);
});

test('all spellings of a name share one lock', async t => {
	const name = freshName(t);
	for (const held of [`\0${name}`, `unix:@${name}`, `unix-abstract:${name}`, `unix:\0${name}`]) {
		await using _lock = await acquire(held);
		for (const wanted of [`\0${name}`, `unix:@${name}`, `unix-abstract:${name}`]) {
			await t.throwsAsync(
				acquire(wanted),
				{code: 'EADDRINUSE'},
				`${JSON.stringify(held)} and ${JSON.stringify(wanted)}`,
			);
		}
	}
	// For the library, as for Node, this is a relative path.
	t.is(parseAddress('@name').kind, 'pathname');
});

for (const spelling of ['exact', 'padded']) {
	for (const type of ['stream', 'datagram', 'seqpacket']) {
		testUnless(noPython())(
			`a foreign ${type} server on the ${spelling} spelling is EADDRINUSE with its pid, and the lock is released`,
			async t => {
				const name = freshName(t);
				const foreign = await startForeign(t, `${spelling} ${type}`, name);
				const error = await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE'});
				t.like(error, {holder: {pid: foreign.pid, verified: true}, syscall: 'listen'});
				t.is(listeners(`\0${name}.lock`), 0);
				t.like(await inspect(`\0${name}`), {state: 'foreign', found: 'socket', holder: {pid: foreign.pid}});
				await foreign.kill();
				await (await acquire(`\0${name}`)).release();
			},
		);
	}
}

testUnless(noPython())(
	'a foreign server on the lock name that never answers: the kernel names its process',
	async t => {
		const name = freshName(t);
		const squatter = await startForeign(t, 'padded stream', `${name}.lock`);
		// It looks like a holder whose event loop is stalled.
		const error = await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE', message: /held by pid/});
		t.like(error, {holder: {pid: squatter.pid, verified: true}});
		await squatter.kill();
		await (await acquire(`\0${name}`)).release();
	},
);

testUnless(noPython())(
	'a datagram socket on the lock name does not conflict: the kernel separates names by type',
	async t => {
		const name = freshName(t);
		await startForeign(t, 'padded datagram', `${name}.lock`);
		const lock = await acquire(`\0${name}`);
		await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE', message: new RegExp(`held by pid ${process.pid} `)});
		t.true(lock.held);
		await lock.release();
	},
);

test.serial(
	'a foreign server that answers with the record of another process is reported with its own pid',
	async t => {
		const name = freshName(t);
		const lie = '1\n{"bindlock":1,"pid":1,"since":"2026-01-01T00:00:00.000Z","command":"init","uid":0}\n';
		const squatter = createServer(socket => socket.on('error', () => {}).end(lie)).listen(
			`\0${name}.lock`.padEnd(108, '\0'),
		);
		await once(squatter, 'listening');
		const error = await t.throwsAsync(acquire(`\0${name}`), {
			code: 'EADDRINUSE',
			message: /not by bindlock but by pid/,
		});
		t.like(error, {holder: {pid: process.pid}});
		t.like(await inspect(`\0${name}`), {state: 'blocked', holder: {pid: process.pid}});
		squatter.close();
	},
);

test.serial('inspect of an abstract name: the states, and the network namespace in which they hold', async t => {
	const name = freshName(t);
	const namespace =
		readFileSync('/proc/self/mounts', 'utf8') && (await import('node:fs')).readlinkSync('/proc/self/ns/net');
	t.like(await inspect(`\0${name}`), {
		state: 'free',
		found: 'nothing',
		networkNamespace: namespace,
		lockPath: undefined,
	});
	const lock = await acquire(`\0${name}`, {label: 'blue'});
	t.like(await inspect(`\0${name}`), {
		state: 'held',
		found: 'nothing',
		holder: {pid: process.pid, label: 'blue', verified: true},
	});
	await lock.release();
	const server = createServer();
	const serving = await listen(server, `\0${name}`);
	t.like(await inspect(`\0${name}`), {state: 'held', found: 'socket'});
	server.close();
	t.false(serving.held);
	t.like(await inspect(`\0${name}`), {state: 'free'});
});

test('a stopped holder is held, and the kernel names it', async t => {
	const name = freshName(t);
	const holder = start(t, 'holder', ['listen', `unix:@${name}`]);
	await holder.expect('held');
	holder.signal('SIGSTOP');
	const error = await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE', message: /held by pid/});
	t.like(error, {holder: {pid: holder.pid, verified: true}});
	await holder.kill();
	await (await acquire(`\0${name}`, {waitMs: 5000})).release();
});

test('names up to the limit, of any bytes: no two share a lock', async t => {
	const base = freshName(t);
	const full = base.padEnd(107, 'x');
	const names = [
		full,
		`${full.slice(0, -1)}y`,
		base.padEnd(102, 'x'),
		base.padEnd(103, 'x'),
		`${base} ñ"\n😀`,
		`${base}${'é'.repeat((107 - base.length) >> 1)}`,
	];
	const locks = [];
	for (const name of names) {
		t.true(Buffer.byteLength(name) <= 107);
		locks.push(await acquire(`\0${name}`));
		await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE'});
		t.is((await inspect(`\0${name}`)).state, 'held');
	}
	t.is(
		new Set(
			names.map(name => parseAddress(`\0${name}`)).map(address => address.kind === 'abstract' && address.lockName),
		).size,
		names.length,
	);
	for (const lock of locks) await lock.release();
	await t.throwsAsync(acquire(`\0${'x'.repeat(108)}`), {code: 'ENAMETOOLONG'});
	await t.throwsAsync(acquire(`\0${'é'.repeat(54)}`), {code: 'ENAMETOOLONG'});
	await t.throwsAsync(acquire('\0'), {code: 'ERR_ADDRESS_EMPTY'});
	await t.throwsAsync(acquire('unix:@'), {code: 'ERR_ADDRESS_EMPTY'});
	await t.throwsAsync(acquire('\0a\0b'), {code: 'ERR_ADDRESS_NUL'});
});

testUnless(noNetworkNamespaces())('abstract names of different network namespaces are independent', async t => {
	const name = freshName(t);
	const elsewhere = start(t, 'holder', ['listen', `unix:@${name}`], {before: ['unshare', '--net']});
	await elsewhere.expect('held');
	t.is((await inspect(`\0${name}`)).state, 'free');
	const here = await acquire(`\0${name}`);
	t.true(here.held);
	await here.release();
	// Pathname addresses belong to the filesystem, so both namespaces share them.
	const path = join(temporaryDirectory(t), 's');
	const server = start(t, 'holder', ['listen', path], {before: ['unshare', '--net']});
	await server.expect('held');
	await t.throwsAsync(acquire(path), {code: 'EADDRINUSE'});
});

test('a lock does not keep the process alive', async t => {
	const program = start(t, 'leaver', [`unix:@${freshName(t)}`]);
	await program.expect('held');
	t.is((await program.exited).code, 0);
});

test('listen releases the lock if a foreign server binds the name first', async t => {
	const name = freshName(t);
	const lock = await acquire(`\0${name}`);
	const server = createServer().listen(`\0${name}`);
	await once(server, 'listening');
	await lock.release();
	await t.throwsAsync(listen(createServer(), `\0${name}`), {code: 'EADDRINUSE'});
	server.close();
	await until(() => listeners(`\0${name}`) === 0, 'the close of the server');
	t.is(listeners(`\0${name}.lock`), 0);
});
