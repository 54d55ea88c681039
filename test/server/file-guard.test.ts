/**
 * Tests the file guard: it detects loss, heals removed files, and never deletes the socket of another server.
 */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {once} from 'node:events';
import {
	closeSync,
	existsSync,
	fstatSync,
	lstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs';
import {createServer as createHttpServer, get} from 'node:http';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, type BindLock, inspect, listen} from '../../src/index.js';
import {NodeSystem} from '../../src/kernel/node-system.js';
import {atLoad, until, withDeadline} from '../helpers/deadlines.js';
import {flockHolders, listeners, reach} from '../helpers/detectors.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {makeStaleSync} from '../helpers/sockets.js';

function pathOf(t: ExecutionContext): string {
	return join(temporaryDirectory(t), 's');
}

function pidServer(): Server {
	return createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
}

async function serve(t: ExecutionContext, path: string, options = {}): Promise<{server: Server; lock: BindLock}> {
	const server = pidServer();
	const lock = await listen(server, path, options);
	t.teardown(() => lock.release());
	return {server, lock};
}

/** Returns the milliseconds until the signal aborts, and its reason. */
async function abortOf(lock: BindLock): Promise<{elapsedMs: number; reason: {code: string; name: string}}> {
	const began = performance.now();
	if (!lock.lostSignal.aborted) await withDeadline(once(lock.lostSignal, 'abort'));
	return {elapsedMs: performance.now() - began, reason: lock.lostSignal.reason};
}

/** Waits until the watches are set. They begin with a check, which sees earlier changes. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

for (const how of ['removed', 'replaced', 'renamed away'] as const) {
	test.serial(`acquire: a lock file that is ${how} aborts the signal`, async t => {
		const path = pathOf(t);
		const lock = await acquire(path);
		t.false(lock.lostSignal.aborted);
		await settled();
		if (how === 'removed') unlinkSync(`${path}.lock`);
		if (how === 'renamed away') renameSync(`${path}.lock`, `${path}.gone`);
		if (how === 'replaced') {
			writeFileSync(`${path}.other`, '');
			renameSync(`${path}.other`, `${path}.lock`);
		}
		const {elapsedMs, reason} = await abortOf(lock);
		t.like(reason, {code: 'ERR_LOCK_LOST', name: 'BindLockError'});
		t.log(`${elapsedMs.toFixed(1)} ms`);
		t.true(elapsedMs < atLoad(1000));
		t.false(lock.held);
		await lock.release();
		t.is(existsSync(`${path}.lock`), how === 'replaced');
	});
}

test.serial('a release does not abort the signal, and without lostSignal no watch is set', async t => {
	const path = pathOf(t);
	const watches = countInotify;
	const lock = await acquire(path);
	const before = watches();
	t.is(before, watches());
	const {lostSignal} = lock;
	// One watch for the lock file, and one for the directory, which all locks in it share.
	t.is(watches(), before + 2);
	const neighbour = await acquire(`${path}2`);
	t.false(neighbour.lostSignal.aborted);
	t.is(watches(), before + 3);
	await neighbour.release();
	t.is(watches(), before + 2);
	await lock.release();
	t.false(lostSignal.aborted);
	t.is(watches(), before);
});

/** Counts the inotify watches of this process. */
function countInotify(): number {
	let count = 0;
	for (let fd = 0; fd < 200; fd++) {
		try {
			count += (readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify wd:/gm) ?? []).length;
		} catch {}
	}
	return count;
}

test.serial('listen: a deleted lock file is created and locked again', async t => {
	const path = pathOf(t);
	const healed: unknown[] = [];
	const note = (message: unknown): void => void healed.push(message);
	subscribe('bindlock:healed', note);
	t.teardown(() => void unsubscribe('bindlock:healed', note));
	const {lock} = await serve(t, path);
	await settled();
	unlinkSync(`${path}.lock`);
	await until(() => lock.healed === 1, 'the healing');
	t.deepEqual(healed, [{address: path, what: 'lock'}]);
	t.deepEqual(flockHolders(`${path}.lock`, [process.pid]), [process.pid]);
	t.true(lock.held);
	const other = await start(t, 'holder', ['listen', path]).expect('refused');
	t.like(other, {code: 'EADDRINUSE', holder: {pid: process.pid, verified: true}});
	t.is(await reach(path), process.pid);
});

test.serial('the signal option has no effect once the lock is held', async t => {
	const path = pathOf(t);
	const taking = new AbortController();
	const {lock} = await serve(t, path, {signal: taking.signal});
	taking.abort();
	await settled();
	unlinkSync(`${path}.lock`);
	await until(() => lock.healed === 1, 'the healing');
	t.true(lock.held);
	unlinkSync(path);
	await until(() => lock.healed === 2, 'the healing');
	t.is(await reach(path), process.pid);
});

test.serial('listen: a deleted socket file is bound again, and open connections stay', async t => {
	const path = pathOf(t);
	const server = createHttpServer((_, response) => void response.end('ok'));
	const lock = await listen(server, path);
	t.teardown(() => lock.release());
	let closed = 0;
	server.on('close', () => closed++);
	const kept: Socket = connect(path);
	await once(kept, 'connect');
	await settled();
	unlinkSync(path);
	await until(() => lock.healed === 1, 'the healing');
	t.is(listeners(path), 1);
	const body = await new Promise<string>(resolve =>
		get({socketPath: path, agent: false}, response => response.setEncoding('utf8').on('data', resolve)),
	);
	t.is(body, 'ok');
	kept.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	const [answer] = await once(kept, 'data');
	t.regex(String(answer), /^HTTP\/1.1 200/);
	kept.destroy();
	t.is(closed, 0);
	t.true(lock.held);
	server.close();
	await once(server, 'close');
	t.false(existsSync(path));
});

test.serial('listen: both files are deleted ten times: healing stops, and the loss is reported', async t => {
	const path = pathOf(t);
	const {lock} = await serve(t, path);
	for (let round = 0; round < 5; round++) {
		const before = lock.healed;
		await settled();
		rmSync(`${path}.lock`, {force: true});
		rmSync(path, {force: true});
		await until(() => lock.healed >= before + 2, 'both healed');
		t.is(await reach(path), process.pid);
	}
	await settled();
	unlinkSync(path);
	t.like((await abortOf(lock)).reason, {code: 'ERR_ADDRESS_LOST'});
	await lock.release();
});

test.serial('R7, R11: a foreign server that unlinks and binds is loss, and its socket is never touched', async t => {
	for (const how of ['unlink', 'rename']) {
		const path = pathOf(t);
		const {server, lock} = await serve(t, path);
		await settled();
		const foreign = createServer(socket => socket.on('error', () => {}).end('7\n'));
		if (how === 'unlink') unlinkSync(path);
		foreign.listen(how === 'unlink' ? path : `${path}.tmp`);
		await once(foreign, 'listening');
		const {ino} = lstatSync(how === 'unlink' ? path : `${path}.tmp`);
		if (how === 'rename') renameSync(`${path}.tmp`, path);
		t.like((await abortOf(lock)).reason, {code: 'ERR_ADDRESS_LOST'});
		t.is(lstatSync(path).ino, ino);
		server.close();
		await once(server, 'close');
		await lock.release();
		t.is(lstatSync(path).ino, ino);
		t.is(await reach(path), 7);
		foreign.close();
	}
});

test.serial('listen: a stale socket that replaced ours is removed, and the path is bound again', async t => {
	for (const how of ['bound', 'renamed'] as const) {
		const path = pathOf(t);
		const {lock} = await serve(t, path);
		t.false(lock.lostSignal.aborted);
		const left = how === 'bound' ? path : `${path}.dead`;
		if (how === 'bound') unlinkSync(path);
		makeStaleSync(left);
		if (how === 'renamed') renameSync(left, path);
		await until(() => lock.healed > 0 || lock.lostSignal.aborted, 'the healing');
		t.is(lock.lostSignal.reason, undefined);
		t.is(await reach(path), process.pid);
		await lock.release();
		t.false(existsSync(path));
	}
});

/** Calls `act` when the probe of the next heal has its answer, and records what is unlinked after it. */
function betweenAnswerAndUnlink(t: ExecutionContext, act: () => unknown): {done: Promise<void>; unlinked: string[]} {
	const {connect: original, unlink} = NodeSystem.prototype;
	const unlinked: string[] = [];
	t.teardown(() => Object.assign(NodeSystem.prototype, {connect: original, unlink}));
	const done = new Promise<void>(resolve => {
		NodeSystem.prototype.connect = async function (...parameters) {
			NodeSystem.prototype.connect = original;
			const answer = await original.apply(this, parameters);
			await act();
			NodeSystem.prototype.unlink = function (path) {
				unlinked.push(path);
				return unlink.call(this, path);
			};
			setImmediate(resolve);
			return answer;
		};
	});
	return {done, unlinked};
}

test.serial('a release cancels healing: without the lock, a stale socket is not unlinked', async t => {
	const path = pathOf(t);
	const {lock} = await serve(t, path);
	t.false(lock.lostSignal.aborted);
	const {done, unlinked} = betweenAnswerAndUnlink(t, () => lock.release());
	unlinkSync(path);
	makeStaleSync(path);
	const {ino} = lstatSync(path);
	await withDeadline(done);
	await settled();
	t.deepEqual(unlinked, []);
	t.is(lstatSync(path).ino, ino);
	t.is(lock.healed, 0);
});

test.serial('a lock file that is deleted during healing is locked again before a socket is unlinked', async t => {
	const path = pathOf(t);
	const {lock} = await serve(t, path);
	t.false(lock.lostSignal.aborted);
	let before: string[] = [];
	const {done, unlinked} = betweenAnswerAndUnlink(t, () => unlinkSync(`${path}.lock`));
	unlinkSync(path);
	makeStaleSync(path);
	await withDeadline(done);
	before = [...unlinked];
	await until(() => lock.healed === 2 || lock.lostSignal.aborted, 'both files are healed');
	t.deepEqual(before, []);
	t.is(lock.lostSignal.reason, undefined);
	t.is(await reach(path), process.pid);
	t.deepEqual(flockHolders(`${path}.lock`, [process.pid]), [process.pid]);
});

test.serial('listen: after chdir a relative address is not bound in the new directory', async t => {
	const here = process.cwd();
	t.teardown(() => process.chdir(here));
	// The absolute path is too long for an address.
	const directory = join(temporaryDirectory(t), 'd'.repeat(60), 'e'.repeat(60));
	const other = temporaryDirectory(t);
	mkdirSync(directory, {recursive: true});
	process.chdir(directory);
	const {lock} = await serve(t, 's');
	t.false(lock.lostSignal.aborted);
	process.chdir(other);
	unlinkSync(join(directory, 's'));
	const {reason} = await abortOf(lock);
	t.like(reason, {code: 'ERR_ADDRESS_LOST'});
	t.regex(String((reason as {cause?: unknown}).cause), /the working directory has changed since/);
	await lock.release();
	t.deepEqual(readdirSync(other), []);
});

test.serial(
	'listen: if the path cannot be bound again, the lock is released, and the server stops listening',
	async t => {
		const path = pathOf(t);
		const {server, lock} = await serve(t, path);
		t.false(lock.lostSignal.aborted);
		server.listen = () => {
			const full = Object.assign(new Error('no space left on device'), {code: 'ENOSPC'});
			setImmediate(() => server.emit('error', full));
			return server;
		};
		unlinkSync(path);
		t.like((await abortOf(lock)).reason, {code: 'ERR_ADDRESS_LOST'});
		t.false(server.listening);
		await (await acquire(path)).release();
	},
);

test.serial('heal: false reports loss and does not heal', async t => {
	const path = pathOf(t);
	const {lock} = await serve(t, path, {heal: false});
	await settled();
	unlinkSync(path);
	const {elapsedMs, reason} = await abortOf(lock);
	t.like(reason, {code: 'ERR_ADDRESS_LOST'});
	t.log(`${elapsedMs.toFixed(1)} ms`);
	t.true(elapsedMs < atLoad(1000));
	t.false(existsSync(path));
	t.is(lock.healed, 0);
});

test.serial('a lock file that is deleted, and locked by a newcomer without a server, is loss', async t => {
	const path = pathOf(t);
	const lock = await acquire(path);
	t.false(lock.lostSignal.aborted);
	await settled();
	unlinkSync(`${path}.lock`);
	const newcomer = start(t, 'holder', ['listen', path]);
	await newcomer.expect('held');
	t.like((await abortOf(lock)).reason, {code: 'ERR_LOCK_LOST'});
	await lock.release();
	t.like(await inspect(path), {state: 'held', holder: {pid: newcomer.pid}});
	t.is(await reach(path), newcomer.pid);
});

test.serial(
	'a release during the wait for a new lock file: no lock is taken, and no descriptor is closed twice',
	async t => {
		const path = pathOf(t);
		const {lock} = await serve(t, path);
		await settled();
		unlinkSync(`${path}.lock`);
		const stranger = startCommand(t, 'sh', ['-c', 'exec 9>>"$0"; flock 9; echo locked; read _', `${path}.lock`]);
		await stranger.next();
		await until(() => /^\d+: -> FLOCK/m.test(readFileSync('/proc/locks', 'utf8')), 'the wait for the new lock file');
		await lock.release();
		// One of them gets the number of the released lock's descriptor.
		const descriptors = Array.from({length: 5}, () => openSync('/dev/null', 'r'));
		t.teardown(() => {
			for (const descriptor of descriptors) closeSync(descriptor);
		});
		// This waiter queues behind all others.
		const next = acquire(path, {waitMs: 5000});
		await stranger.kill();
		await (await next).release();
		for (const descriptor of descriptors) t.notThrows(() => fstatSync(descriptor));
		t.is(lock.healed, 0);
	},
);

test.serial(
	'R2: a cleaner deletes the lock file and a newcomer comes at once: the newcomer is refused, and the server heals',
	async t => {
		for (let round = 0; round < 15; round++) {
			const path = pathOf(t);
			const {lock} = await serve(t, path);
			await settled();
			const newcomer = start(t, 'holder', ['listen', path]);
			await until(() => existsSync(`${path}.lock`), 'the lock file');
			unlinkSync(`${path}.lock`);
			t.is((await newcomer.next()).event, 'refused');
			await until(() => lock.healed > 0, 'the healing');
			t.true(lock.held);
			t.is(await reach(path), process.pid);
			await lock.release();
		}
	},
);

test.serial(
	'a directory that is renamed or removed, and a changed working directory: no crash, and no foreign file is deleted',
	async t => {
		const directory = temporaryDirectory(t);
		const inside = join(directory, 'd');
		mkdirSync(inside);
		const path = join(inside, 's');
		const {server, lock} = await serve(t, path);
		renameSync(inside, join(directory, 'e'));
		mkdirSync(inside);
		writeFileSync(path, 'somebody’s');
		server.close();
		await once(server, 'close');
		await lock.release();
		t.is(readFileSync(path, 'utf8'), 'somebody’s');
		const second = await serve(t, join(directory, 'e', 't'));
		rmSync(join(directory, 'e'), {recursive: true});
		t.true(['ERR_LOCK_LOST', 'ERR_ADDRESS_LOST'].includes((await abortOf(second.lock)).reason.code));
		await second.lock.release();
	},
);

test.serial('process.exit() removes the socket file only if it is ours; SIGTERM leaves it', async t => {
	for (const [ending, ours, remains] of [
		['exit', true, false],
		['exit', false, true],
		['SIGTERM', true, true],
	] as const) {
		const path = pathOf(t);
		const program = start(t, 'holder', ['listen', path, '{"heal":false}']);
		await program.expect('held');
		let foreign: Server | undefined;
		if (!ours) {
			unlinkSync(path);
			foreign = createServer(socket => socket.on('error', () => {}).end('7\n')).listen(path);
			await once(foreign, 'listening');
		}
		if (ending === 'exit') program.send('exit');
		else program.signal('SIGTERM');
		const {signal} = await program.exited;
		t.is(signal, ending === 'exit' ? null : 'SIGTERM');
		t.is(existsSync(path), remains, `${ending}, ${ours ? 'ours' : 'not ours'}`);
		if (foreign !== undefined) t.is(await reach(path), 7);
		foreign?.close();
		await (await acquire(path).catch(() => ({release: async () => {}}))).release();
	}
});
