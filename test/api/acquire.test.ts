/**
 * Tests `acquire`: mutual exclusion between processes and threads, and the cleanup of an abort.
 */
import {getEventListeners, once} from 'node:events';
import {readdirSync, readlinkSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join, relative} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type AcquireOptions, acquire, BindLockError, inspect, listen} from '../../src/index.js';
import {noFlockCommand, testUnless} from '../helpers/abilities.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {type Program, start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {contentOf, namesIn, treeOf} from '../helpers/tree.js';

checkLeaks();

test.serial('a second acquire in the same process is EADDRINUSE, and its holder is this process', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address, {label: 'first'});
	const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
	t.like(error?.holder, {pid: process.pid, label: 'first', verified: true});
	t.true(lock.held);
	await lock.release();
	await (await acquire(address)).release();
});

test.serial('of 20 concurrent acquires in one process, one succeeds', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const outcomes = await Promise.allSettled(Array.from({length: 20}, () => acquire(address)));
	const won = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []));
	const codes = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
	t.is(won.length, 1);
	t.true(won[0]?.reclaimed);
	t.deepEqual([...new Set(codes)], ['EADDRINUSE']);
	await won[0]?.release();
});

test.serial('the stack of EADDRINUSE shows the caller, with and without a wait', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const lock = await acquire(address);
	const {stackTraceLimit} = Error;
	writeFileSync(join(directory, 'file'), '');
	async function callsAcquire(at: string, options: AcquireOptions): Promise<unknown> {
		return await acquire(at, options);
	}
	async function callsListen(at: string, options: AcquireOptions): Promise<unknown> {
		return await listen(createServer(), at, options);
	}
	for (const caller of [callsAcquire, callsListen]) {
		for (const [at, options] of [
			[address, {}],
			[address, {waitMs: 10}],
			[join(directory, 'file'), {}],
		] as const) {
			const {stack = ''} = (await t.throwsAsync(caller(at, options), {instanceOf: BindLockError})) ?? {};
			const frames = stack.split('\n').filter(line => /^ +at /.test(line));
			t.true(frames.length < 10, stack);
			t.is(Error.stackTraceLimit, stackTraceLimit);
			t.true(
				frames.some(frame => frame.includes(caller.name)),
				stack,
			);
		}
	}
	await lock.release();
});

test.serial('another process is refused until the lock is released', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address, {label: 'first'});
	const other = start(t, 'holder', ['acquire', address]);
	const refused = await other.expect('refused');
	const holder = {pid: process.pid, label: 'first', verified: true};
	t.like(refused, {code: 'EADDRINUSE', errno: -98, syscall: 'listen', ours: true, holder});
	t.regex(
		String(refused['message']),
		new RegExp(`^listen EADDRINUSE: address already in use ${address}: held by pid ${process.pid} `),
	);
	await lock.release();
	other.send('again');
	await other.expect('held');
	const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
	t.is(error?.holder?.pid, other.pid);
	other.send('release');
	t.like(await other.expect('released'), {held: false});
	await (await acquire(address)).release();
});

test.serial('a worker thread is refused, and the holder is its process', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	const program = start(t, 'worker', [address]);
	program.send('start');
	t.like(await program.next(), {event: 'refused', code: 'EADDRINUSE', holder: {pid: process.pid}});
	await lock.release();
	program.send('start');
	await program.expect('held');
	program.send('start');
	t.like(await program.next(), {event: 'refused', code: 'EADDRINUSE', holder: {pid: program.pid}});
});

test.serial('all spellings of an address share one lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	const spellings = [`unix:${address}`, `unix://${address}`, relative('.', address), `unix:${relative('.', address)}`];
	for (const given of [...spellings, join(address, '..', '.', 's')]) {
		const error = await t.throwsAsync(acquire(given), {instanceOf: BindLockError, code: 'EADDRINUSE'});
		t.is(error?.address, given);
	}
	await lock.release();
});

test.serial('a lock file is refused as an address, and a socket as a lock file', async t => {
	const directory = temporaryDirectory(t);
	const lock = await acquire(join(directory, 's'));
	const before = contentOf(directory);
	await t.throwsAsync(acquire(join(directory, 's.lock')), {instanceOf: BindLockError, code: 'ENOTSOCK'});
	t.deepEqual(contentOf(directory), before);
	await lock.release();
	await makeStale(join(directory, 'x.lock'));
	await t.throwsAsync(acquire(join(directory, 'x')), {instanceOf: BindLockError, code: 'ENXIO'});
	t.deepEqual(namesIn(directory), ['s.lock', 'x.lock']);
});

test.serial('any server can bind an acquired address', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const lock = await acquire(address);
	const server = createServer(socket => socket.end(`${process.pid}`)).listen(address);
	await once(server, 'listening');
	t.is(await reach(address), process.pid);
	t.like(await start(t, 'holder', ['listen', address]).expect('refused'), {
		code: 'EADDRINUSE',
		holder: {pid: process.pid},
	});
	server.close();
	await once(server, 'close');
	await lock.release();
});

test.serial('after SIGKILL of the holder, the next process reclaims the address and serves clients', async t => {
	const address = join(temporaryDirectory(t), 's');
	let holder = start(t, 'holder', ['listen', address]);
	t.like(await holder.expect('held'), {reclaimed: false});
	for (let round = 0; round < 5; round++) {
		const next: Program = start(t, 'holder', ['listen', address]);
		t.like(await next.expect('refused'), {code: 'EADDRINUSE', holder: {pid: holder.pid}});
		await holder.kill();
		t.is(await reach(address), 'ECONNREFUSED');
		next.send('again');
		t.like(await next.expect('held'), {reclaimed: true});
		t.is(await reach(address), next.pid);
		holder = next;
	}
});

test.serial('child processes of the holder do not inherit the lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	const child = startCommand(t, 'sh', ['-c', 'echo on; read line']);
	await child.expect('line');
	const open = readdirSync(`/proc/${child.pid}/fd`).map(fd => readlinkSync(`/proc/${child.pid}/fd/${fd}`));
	t.false(open.includes(`${address}.lock`));
	await lock.release();
	await (await acquire(address)).release();
});

/**
 * Aborts once all synchronous work is done, when `acquire` waits for an event. Checks that it rejects
 * with the reason and that the directory is unchanged.
 */
async function abortWaiting(t: ExecutionContext, address: string): Promise<void> {
	const before = contentOf(join(address, '..'));
	const controller = new AbortController();
	const reason = new Error('changed my mind');
	const taking = acquire(address, {signal: controller.signal});
	controller.abort(reason);
	t.is(await t.throwsAsync(taking), reason);
	t.deepEqual(contentOf(join(address, '..')), before);
	t.deepEqual(getEventListeners(controller.signal, 'abort'), []);
}

test.serial('a signal that is already aborted: acquire rejects with its reason, and changes no file', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await makeStale(address);
	const before = treeOf(directory);
	for (const reason of [new Error('changed my mind'), 'a string', 0]) {
		const outcome = await acquire(address, {signal: AbortSignal.abort(reason)}).catch(error => ({error}));
		t.deepEqual(outcome, {error: reason});
	}
	await t.throwsAsync(acquire(address, {signal: AbortSignal.abort()}), {any: true, name: 'AbortError'});
	t.deepEqual(treeOf(directory), before);
});

test.serial('an abort during the probe of a socket leaves no file and no lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	await abortWaiting(t, address);
	const lock = await acquire(address);
	t.true(lock.reclaimed);
	await lock.release();
});

testUnless(noFlockCommand())('an abort while a shared lock blocks acquire leaves no file and no lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const reader = startCommand(t, 'flock', ['-s', `${address}.lock`, 'sh', '-c', 'echo locked; exec cat']);
	await reader.expect('line');
	await abortWaiting(t, address);
	await reader.kill();
	// The child `cat` may exit a moment later.
	await (await acquire(address, {waitMs: 10_000})).release();
});

test.serial('an abort after acquire has succeeded has no effect', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const controller = new AbortController();
	const lock = await acquire(address, {signal: controller.signal});
	t.true(lock.reclaimed, 'acquire waited for an answer');
	t.deepEqual(getEventListeners(controller.signal, 'abort'), []);
	controller.abort();
	t.true(lock.held);
	t.is((await inspect(address)).state, 'held');
	await lock.release();
});
