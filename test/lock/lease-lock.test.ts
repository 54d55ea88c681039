/**
 * The lease backend: what it promises, and that it and flock refuse each other.
 */
import {existsSync, mkdirSync, readdirSync, rmdirSync, statSync, unlinkSync, utimesSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire, listen} from '../../src/index.js';
import {withDeadline} from '../helpers/deadlines.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {start, temporaryDirectory} from '../helpers/programs.js';

test('taken, refused to others, given back; a stale socket is reclaimed', async t => {
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

test('flock refuses a lease, live or stale, and leaves it alone', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	await t.throwsAsync(acquire(path), {code: 'EISDIR', message: /lease/});
	await lock.release();
	mkdirSync(`${path}.lock`);
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	await t.throwsAsync(acquire(path), {code: 'EISDIR'});
	t.true(statSync(`${path}.lock`).isDirectory());
});

test('a lease refuses a flock, held or left over, and leaves its file alone', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path);
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'ERR_LOCK_BACKEND'});
	t.true(lock.held);
	await lock.release();
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'ERR_LOCK_BACKEND'});
	t.true(statSync(`${path}.lock`).isFile());
});

test('it waits, with a deadline', async t => {
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

test('a stale lease is taken over after its holder was killed, and a live server under it is not', async t => {
	const path = join(temporaryDirectory(t), 's');
	const holder = start(t, 'holder', ['listen', path, '{"backend":"lease"}']);
	await holder.expect('held');
	await holder.kill();
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	const lock = await acquire(path, {backend: 'lease'});
	t.true(lock.reclaimed);
	await lock.release();
});

test('a lost lease aborts the signal and crashes nobody', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	const aborted = new Promise(resolve => lock.lostSignal.addEventListener('abort', resolve));
	utimesSync(`${path}.lock`, new Date(0), new Date(0));
	await withDeadline(aborted);
	t.like(lock.lostSignal.reason, {code: 'ERR_LEASE_COMPROMISED', name: 'BindLockError'});
	t.false(lock.held);
	await lock.release();
});

test('a lease that was robbed is not given back: it is the robber’s', async t => {
	const path = join(temporaryDirectory(t), 's');
	const lock = await acquire(path, {backend: 'lease'});
	rmdirSync(`${path}.lock`);
	mkdirSync(`${path}.lock`);
	await lock.release();
	t.true(existsSync(`${path}.lock`));
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'EADDRINUSE'});
});

test('a holder that exits does not give back what it was robbed of', async t => {
	const path = join(temporaryDirectory(t), 's');
	const holder = start(t, 'holder', ['acquire', path, '{"backend":"lease"}']);
	await holder.expect('held');
	rmdirSync(`${path}.lock`);
	mkdirSync(`${path}.lock`);
	holder.send('exit');
	await holder.exited;
	t.true(existsSync(`${path}.lock`));
});

test('a server that has lost its lease binds nothing again', async t => {
	const path = join(temporaryDirectory(t), 's');
	const server = createServer();
	const lock = await listen(server, path, {backend: 'lease'});
	rmdirSync(`${path}.lock`);
	await withDeadline(new Promise(resolve => lock.lostSignal.addEventListener('abort', resolve)));
	unlinkSync(path);
	// Longer than it would take.
	await new Promise(resolve => setTimeout(resolve, 500));
	t.false(existsSync(path));
	t.is(lock.healed, 0);
	server.close();
});

test('onWait is told only where there is somebody to wait for', async t => {
	const path = join(temporaryDirectory(t), 'no', 's');
	const onWait = (): void => t.fail();
	await t.throwsAsync(acquire(path, {backend: 'lease', waitMs: 200, onWait}), {
		code: 'ENOENT',
		message: /create the directory/,
	});
});

test('a wait that is aborted while the lease is being taken leaves none', async t => {
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
	t.log(`${aborted} of 20 in time`);
	t.true(aborted > 0);
});

test('to release a lease that was lost does not give back the next one', async t => {
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

test('a file under way or a foreign server is refused as with flock, and the lease is given back', async t => {
	const path = join(temporaryDirectory(t), 's');
	writeFileSync(path, 'mine');
	await t.throwsAsync(acquire(path, {backend: 'lease'}), {code: 'ENOTSOCK'});
	t.deepEqual(readdirSync(join(path, '..')), ['s']);
	await t.throwsAsync(acquire('\0x', {backend: 'lease'}), {code: 'ERR_INVALID_ARG_VALUE'});
	await t.throwsAsync(acquire(path, {backend: 'lease', replace: {}}), {code: 'ERR_HOLDER_UNVERIFIED'});
});
