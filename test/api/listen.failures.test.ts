/**
 * Tests failures of `listen`: no server listens, no file is left, and the lock is released.
 */
import {EventEmitter, once} from 'node:events';
import {
	chmodSync,
	existsSync,
	linkSync,
	mkdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import net, {connect, createServer, Server} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire, BindLockError, inspect, listen} from '../../src/index.js';
import {NodeSystem} from '../../src/kernel/node-system.js';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {listeners, makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {contentOf, namesIn} from '../helpers/tree.js';

checkLeaks();

const hello = 'hello from here';

async function ask(path: string): Promise<string> {
	let text = '';
	for await (const chunk of connect(path)) text += chunk;
	return text;
}

test.serial(
	'a value that is not a server, or a server that already listens, is refused before any file changes',
	async t => {
		const directory = temporaryDirectory(t);
		const listening = createServer().listen(join(directory, 'other'));
		await once(listening, 'listening');
		await makeStale(join(directory, 's'));
		const before = contentOf(directory);
		const lookalike = Object.assign(new EventEmitter(), {listen() {}, close() {}});
		for (const server of [undefined, null, {}, 'server', () => {}, {listen() {}}, lookalike]) {
			const attempt = listen(server as unknown as Server, join(directory, 's'));
			await t.throwsAsync(attempt, {instanceOf: BindLockError, code: 'ERR_INVALID_ARG_TYPE'});
		}
		const attempt = listen(listening, join(directory, 's'));
		await t.throwsAsync(attempt, {instanceOf: BindLockError, code: 'ERR_SERVER_ALREADY_LISTEN'});
		t.true(listening.listening);
		t.deepEqual(contentOf(directory), before);
		listening.close();
		await once(listening, 'close');
	},
);

test.serial('two concurrent listens of one server: one succeeds, and the other address is free', async t => {
	const directory = temporaryDirectory(t);
	const server = createServer(socket => socket.end(hello));
	const [first, second] = await Promise.allSettled([
		listen(server, join(directory, 'a')),
		listen(server, join(directory, 'b')),
	]);
	t.is(first.status, 'fulfilled');
	t.like(second, {status: 'rejected', reason: {code: 'ERR_SERVER_ALREADY_LISTEN'}});
	t.is(await ask(join(directory, 'a')), hello);
	t.is((await inspect(join(directory, 'b'))).state, 'free');
	server.close();
	t.deepEqual(namesIn(directory), ['a.lock']);
});

/** A server that calls `interrupt` right before it listens. */
class Interrupted extends Server {
	readonly #interrupt: () => void;

	constructor(interrupt: () => void) {
		super();
		this.#interrupt = interrupt;
	}

	override listen(...parameters: unknown[]): this {
		this.#interrupt();
		return super.listen(...(parameters as [object]));
	}
}

/** Calls `interrupt` right before the next bind of this process. */
function beforeNextBind(interrupt: () => void): void {
	const internals = net as unknown as {_createServerHandle(...parameters: unknown[]): unknown};
	const original = internals._createServerHandle;
	internals._createServerHandle = (...parameters) => {
		internals._createServerHandle = original;
		interrupt();
		return original(...parameters);
	};
}

test.serial('a foreign server that binds first is EADDRINUSE, and the lock is released', async t => {
	const address = join(temporaryDirectory(t), 's');
	const naive = createServer(socket => socket.end(hello));
	beforeNextBind(() => naive.listen(address));
	const error = await t.throwsAsync(listen(createServer(), address), {
		instanceOf: BindLockError,
		code: 'EADDRINUSE',
	});
	t.like(error, {errno: -98, syscall: 'listen', address, cause: {code: 'EADDRINUSE'}});
	t.regex(error?.message ?? '', /bound there a moment ago/);
	t.is(await ask(address), hello);
	t.is((await inspect(address)).state, 'foreign');
	naive.close();
	await (await acquire(address)).release();
});

test.serial('if server.listen() throws, the lock is released, and the error is the cause', async t => {
	const directory = temporaryDirectory(t);
	const cause = new Error('not today');
	const failing = new Interrupted(() => {
		throw cause;
	});
	const error = await t.throwsAsync(listen(failing, join(directory, 's')), {
		instanceOf: BindLockError,
		code: 'UNKNOWN',
	});
	t.is(error?.cause, cause);
	t.regex(error?.message ?? '', /Cannot listen on .*: not today/);
	t.is((await inspect(join(directory, 's'))).state, 'free');
	t.deepEqual(namesIn(directory), [], 'a new lock file is removed');
	writeFileSync(join(directory, 's.lock'), '');
	await t.throwsAsync(listen(failing, join(directory, 's')), {code: 'UNKNOWN'});
	t.deepEqual(namesIn(directory), ['s.lock'], 'an existing lock file stays');
});

testUnless(noOtherUser())('a directory without write permission is EACCES, and the lock is released', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	chmodSync(directory, 0o755);
	writeFileSync(`${address}.lock`, '');
	chmodSync(`${address}.lock`, 0o666);
	const program = start(t, 'holder', ['listen', address], {uid: otherUid});
	t.like(await program.expect('refused'), {code: 'EACCES', errno: -13, syscall: 'listen', ours: true});
	t.deepEqual(namesIn(directory), ['s.lock']);
	await (await acquire(address)).release();
});

test.serial('R17: the mode of a file that replaces the new socket is not changed', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const precious = join(directory, 'precious');
	writeFileSync(precious, 'theirs', {mode: 0o600});
	const sockets = {fresh: join(directory, 'fresh'), linked: join(directory, 'linked')};
	const servers = Object.values(sockets).map(path => createServer().listen(path));
	t.teardown(() => servers.forEach(server => void server.close()));
	linkSync(sockets.linked, `${sockets.linked}.2`);
	for (const path of [sockets.fresh, sockets.linked]) chmodSync(path, 0o600);
	utimesSync(sockets.fresh, 1000, 1000);
	const replacements: Record<string, () => void> = {
		'a symbolic link': () => symlinkSync(precious, address),
		'a file': () => linkSync(precious, address),
		'another socket of ours': () => renameSync(sockets.fresh, address),
		'a hard link of our socket': () => linkSync(sockets.linked, address),
		nothing: () => {},
	};
	for (const [what, replace] of Object.entries(replacements)) {
		for (const options of [{socketMode: 0o666}, {writableAll: true}]) {
			// This lstat comes between the bind and the change of the mode.
			const server = createServer();
			const {lstat} = NodeSystem.prototype;
			NodeSystem.prototype.lstat = function (path) {
				const bound = existsSync(address) && path === address;
				if (bound) {
					NodeSystem.prototype.lstat = lstat;
					unlinkSync(address);
					replace();
				}
				return lstat.call(this, path);
			};
			try {
				await t.throwsAsync(listen(server, address, options), {instanceOf: BindLockError}, what);
			} finally {
				NodeSystem.prototype.lstat = lstat;
			}
			t.false(server.listening);
			t.is(statSync(precious).mode & 0o777, 0o600, what);
			t.is(statSync(sockets.linked).mode & 0o777, 0o600, what);
			if (what === 'another socket of ours') {
				t.is(statSync(address).mode & 0o777, 0o600, what);
				renameSync(address, sockets.fresh);
			}
			rmSync(address, {force: true});
		}
	}
	t.deepEqual(listeners(address), 0);
	await (await acquire(address)).release();
});

test.serial('the mode is set before a client can connect', async t => {
	const address = join(temporaryDirectory(t), 's');
	let then: unknown;
	const server = new Interrupted(() => {
		then = {mode: statSync(address).mode & 0o777, rows: listeners(address)};
	});
	const lock = await listen(server, address, {socketMode: 0o640});
	t.deepEqual(then, {mode: 0o640, rows: 0});
	await lock.release();
});

test.serial('a server that is closed before the event listening: listen rejects, and no socket is left', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const server = createServer();
	const listening = listen(server, address);
	// The server is bound; 'listening' is not emitted yet.
	while (!server.listening) await undefined;
	t.true(existsSync(address));
	server.close();
	await t.throwsAsync(listening, {instanceOf: BindLockError, code: 'ERR_SERVER_NOT_RUNNING'});
	t.deepEqual(namesIn(directory), ['s.lock']);
	t.is(readFileSync(`${address}.lock`, 'utf8'), '');
	t.is((await inspect(address)).state, 'free');
});

test.serial('a server that is closed while listen takes the lock: listen rejects, and the wait ends', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const holder = await acquire(address);
	const moments: Record<string, (server: Server) => Promise<unknown>> = {
		'right after the call': server => {
			const attempt = listen(server, join(directory, 'free'));
			server.close();
			return attempt;
		},
		'in onWait': server => listen(server, address, {waitMs: 60_000, onWait: () => server.close()}),
		'while it waits': server => {
			return listen(server, address, {waitMs: 60_000, onWait: () => setImmediate(() => server.close())});
		},
	};
	for (const [title, attempt] of Object.entries(moments)) {
		const server = createServer();
		const closed = once(server, 'close');
		const refused = {instanceOf: BindLockError, code: 'ERR_SERVER_NOT_RUNNING'};
		await t.throwsAsync(attempt(server), refused, title);
		await closed;
		t.false(server.listening, title);
		t.false(Object.hasOwn(server, 'close'), title);
	}
	await holder.release();
	t.deepEqual(namesIn(directory), ['s.lock']);
});

test.serial('a relative address is not bound in another directory after a wait', async t => {
	const directory = temporaryDirectory(t);
	const deep = join(directory, 'd'.repeat(60), 'e'.repeat(60));
	const other = join(directory, 'other');
	mkdirSync(deep, {recursive: true});
	mkdirSync(other);
	const program = start(t, 'mover', [deep, other]);
	await program.expect('waiting');
	const {code} = await program.expect('refused');
	t.is(code, 'ERR_ADDRESS_SPELLING');
	t.deepEqual(namesIn(other), []);
	t.deepEqual(namesIn(deep), ['s.lock']);
	program.end();
});

test.serial('a server can listen again after a refusal', async t => {
	const directory = temporaryDirectory(t);
	const holder = await acquire(join(directory, 's'));
	const server = createServer(socket => socket.end(hello));
	await t.throwsAsync(listen(server, join(directory, 's')), {code: 'EADDRINUSE'});
	await holder.release();
	const lock = await listen(server, join(directory, 's'));
	t.is(await ask(join(directory, 's')), hello);
	await lock.release();
});

test.serial(
	'a signal that is already aborted: listen rejects with its reason, and the server does not listen',
	async t => {
		const directory = temporaryDirectory(t);
		const server = createServer();
		const reason = new Error('changed my mind');
		const attempt = listen(server, join(directory, 's'), {signal: AbortSignal.abort(reason)});
		t.is(await t.throwsAsync(attempt), reason);
		t.false(server.listening);
		t.deepEqual(namesIn(directory), []);
	},
);
