/**
 * Tests the lease backend, and that leases and flocks exclude each other.
 */
import {existsSync, mkdirSync, readdirSync, rmdirSync, statSync, unlinkSync, utimesSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire, listen} from '../../src/index.js';
import {withDeadline} from '../helpers/deadlines.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {start, temporaryDirectory} from '../helpers/programs.js';

test('a lease refuses others until its release, and reclaims a stale socket', async t => {
	const path = join(temporaryDirectory(t), 's');
	await makeStale(path);
	const lock = await acquire(path, {backend: 'lease'});
	t.true(lock.reclaimed);
	t.true(statSync(`${path}.lock`).isDirectory());
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'EADDRINUSE', message: /holds and renews a lease/});
	const other = await start(t, 'holder', ['listen', path, '{"backend":"lease"}']).expect('refused');
	t.is(other['code'], 'EADDRINUSE');
	await lock.release();
	t.false(existsSync(`${path}.lock`));
	const server = createServer(socket => socket.end('1'));
	const serving = await listen(server, path, {backend: 'lease'});
	t.is(await reach(path), 1);
	server.close();
	t.false(serving.held);
	t.deepEqual(readdirSync(join(path, '..')), []);
});

test('flock refuses a live or stale lease, and leaves it unchanged', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	await t.throwsAsync(acquire(path), {code: 'EISDIR', message: /lease/});
	await lock.release();
	mkdirSync(`${path}.lock`);
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	await t.throwsAsync(acquire(path), {code: 'EISDIR'});
	t.true(statSync(`${path}.lock`).isDirectory());
});

test('a lease refuses a held or left-over lock file, and leaves it unchanged', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path);
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'ERR_LOCK_BACKEND'});
	t.true(lock.held);
	await lock.release();
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'ERR_LOCK_BACKEND'});
	t.true(statSync(`${path}.lock`).isFile());
});

test('a wait for a lease ends at its deadline', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	const told: unknown[] = [];
	const refused = await t.throwsAsync(
		acquire(path, {backend: 'lease', waitMs: 200, onWait: holder => told.push(holder)}),
		{
			code: 'EADDRINUSE',
		},
	);
	t.true(((refused as unknown as {waitedMs: number}).waitedMs ?? 0) >= 150);
	t.deepEqual(told, [undefined]);
	const waiting = acquire(path, {backend: 'lease', waitMs: 10_000});
	await lock.release();
	await (await waiting).release();
});

test('after its holder is killed, a stale lease is taken over, unless its server is live', async t => {
	const path = join(temporaryDirectory(t), 's');
	const holder = start(t, 'holder', ['listen', path, '{"backend":"lease"}']);
	await holder.expect('held');
	await holder.kill();
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	const lock = await acquire(path, {backend: 'lease'});
	t.true(lock.reclaimed);
	await lock.release();
});

test('a lost lease aborts the signal and crashes no process', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	const aborted = new Promise(resolve => lock.lostSignal.addEventListener('abort', resolve));
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	await withDeadline(aborted);
	t.like(lock.lostSignal.reason, {code: 'ERR_LEASE_COMPROMISED', name: 'BindLockError'});
	t.false(lock.held);
	await lock.release();
});

test('a lease that another process has taken over is not released', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	rmdirSync(`${path}.lock`);
	mkdirSync(`${path}.lock`);
	await lock.release();
	t.true(existsSync(`${path}.lock`));
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'EADDRINUSE'});
});

test('the exit of a holder does not release a lease that another process has taken over', async t => {
	const path = join(temporaryDirectory(t), 's');
	const holder = start(t, 'holder', ['acquire', path, '{"backend":"lease"}']);
	await holder.expect('held');
	rmdirSync(`${path}.lock`);
	mkdirSync(`${path}.lock`);
	holder.send('exit');
	await holder.exited;
	t.true(existsSync(`${path}.lock`));
});

test('a server that has lost its lease does not bind again', async t => {
	const path = join(temporaryDirectory(t), 's');
	const server = createServer();
	const lock = await listen(server, path, {backend: 'lease'});
	rmdirSync(`${path}.lock`);
	await withDeadline(new Promise(resolve => lock.lostSignal.addEventListener('abort', resolve)));
	unlinkSync(path);
	// Healing takes less time.
	await new Promise(resolve => setTimeout(resolve, 500));
	t.false(existsSync(path));
	t.is(lock.healed, 0);
	server.close();
});

test('onWait is called only if the lease has a holder', async t => {
	const path = join(temporaryDirectory(t), 'no', 's');
	const onWait = (): void => t.fail();
	await t.throwsAsync(acquire(path, {backend: 'lease', waitMs: 200, onWait}), {
		code: 'ENOENT',
		message: /create the directory/,
	});
});

test('a wait that is aborted while it takes the lease leaves no lease', async t => {
	const directory = temporaryDirectory(t);
	let aborted = 0;
	for (let round = 0; round < 20; round++) {
		const path = join(directory, String(round));
		const abort = new AbortController();
		const taking = acquire(path, {backend: 'lease', waitMs: 5000, signal: abort.signal});
		const settled = taking.then(
			lock => lock.release(),
			() => {
				aborted++;
			},
		);
		while (!existsSync(`${path}.lock`)) await new Promise(resolve => setImmediate(resolve));
		abort.abort(new Error('enough'));
		await settled;
		t.false(existsSync(`${path}.lock`));
	}
	t.log(`${aborted} of 20 aborts came in time`);
	t.true(aborted > 0);
});

test('the release of a lost lease does not release the lease of the next holder', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lost = await acquire(path, {backend: 'lease'});
	const aborted = new Promise(resolve => lost.lostSignal.addEventListener('abort', resolve));
	rmdirSync(`${path}.lock`);
	await withDeadline(aborted);
	const next = await acquire(path, {backend: 'lease'});
	await lost.release();
	t.true(existsSync(`${path}.lock`));
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'EADDRINUSE'});
	await next.release();
	t.false(existsSync(`${path}.lock`));
});

test('a file or a foreign server at the address is refused as with flock, and the lease is released', async t => {
	const path = join(temporaryDirectory(t), 's');
	writeFileSync(path, 'mine');
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'ENOTSOCK'});
	t.deepEqual(readdirSync(join(path, '..')), ['s']);
	await t.throwsAsync(acquire('\0x', {backend: 'lease'}), {code: 'ERR_INVALID_ARG_VALUE'});
	await t.throwsAsync(acquire(path, {backend: 'lease', replace: {}}), {code: 'ERR_HOLDER_UNVERIFIED'});
});
