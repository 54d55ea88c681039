/**
 * Tests the lock object: its properties, and the ways in which a lock ends.
 */
import {readFileSync, renameSync, rmSync, unlinkSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, type BindLock, inspect} from '../../src/index.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {type Event, start, temporaryDirectory} from '../helpers/programs.js';
import {namesIn} from '../helpers/tree.js';

checkLeaks();

test.serial('a lock has its address as given, its lock file, and whether it is held', async t => {
	const directory = temporaryDirectory(t);
	const given = `unix:${directory}/./s`;
	const lock = await acquire(given);
	t.like(lock, {address: given, lockPath: join(directory, 's.lock'), held: true, reclaimed: false});
	await lock.release();
	t.like(lock, {address: given, lockPath: join(directory, 's.lock'), held: false, reclaimed: false});
});

test.serial('reclaimed tells whether a stale socket was removed', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const stale of [false, true, false]) {
		if (stale) await makeStale(address);
		const lock = await acquire(address);
		t.is(lock.reclaimed, stale);
		await lock.release();
		t.is(lock.reclaimed, stale);
	}
});

test.serial('release() releases the lock at once, and may be called again', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	const released = lock.release();
	t.false(lock.held);
	t.is((await inspect(address)).state, 'free');
	t.deepEqual(await Promise.all([released, lock.release(), lock.release()]), [undefined, undefined, undefined]);
	t.is(await lock.release(), undefined);
});

test.serial('a second release() does not affect the next holder', async t => {
	const address = join(temporaryDirectory(t), 's');
	const first = await acquire(address, {removeLockFile: true});
	await first.release();
	const second = await acquire(address);
	await first.release();
	t.true(second.held);
	t.like(await inspect(address), {state: 'held', holder: {pid: process.pid}});
	t.not(readFileSync(`${address}.lock`, 'utf8'), '');
	await second.release();
});

test.serial('await using releases the lock at the end of the block, also after an error', async t => {
	const address = join(temporaryDirectory(t), 's');
	let seen: BindLock | undefined;
	{
		await using lock = await acquire(address);
		seen = lock;
		t.is((await inspect(address)).state, 'held');
	}
	t.false(seen.held);
	t.is((await inspect(address)).state, 'free');

	const failing = async (): Promise<void> => {
		await using lock = await acquire(address);
		seen = lock;
		throw new Error(`while ${lock.address} is held`);
	};
	await t.throwsAsync(failing, {message: /is held/});
	t.false(seen.held);
	await (await acquire(address)).release();
});

test.serial('release() never rejects, whatever happened to the lock file', async t => {
	for (const removeLockFile of [false, true]) {
		for (const spoil of [
			(directory: string) => unlinkSync(join(directory, 's.lock')),
			(directory: string) => renameSync(join(directory, 's.lock'), join(directory, 'moved')),
			(directory: string) => rmSync(directory, {recursive: true}),
		]) {
			const directory = temporaryDirectory(t);
			const lock = await acquire(join(directory, 's'), {removeLockFile});
			spoil(directory);
			await t.notThrowsAsync(lock.release());
			t.false(lock.held);
		}
	}
});

/** Starts a process with threads, sends it the commands, and returns its pid and its answers. */
async function threads(t: ExecutionContext, commands: readonly string[]): Promise<{pid: number; said: Event[]}> {
	const program = start(t, 'worker', [join(temporaryDirectory(t), 's')]);
	const said: Event[] = [];
	for (const command of commands) {
		program.send(command);
		said.push(await program.next());
	}
	program.end();
	t.like(await program.exited, {code: 0});
	return {pid: program.pid, said};
}

for (const end of ['exit', 'terminate']) {
	test.serial(`the lock of a worker thread ends with the thread: ${end}`, async t => {
		const {pid, said} = await threads(t, ['start', 'acquire', end, 'acquire']);
		t.like(said[1]?.['holder'], {pid, verified: true});
		t.deepEqual(
			said.map(({event, code}) => code ?? event),
			['held', 'EADDRINUSE', 'ended', 'held'],
		);
	});
}

test.serial('a worker thread releases its lock, and another takes it', async t => {
	const {said} = await threads(t, ['start', 'release', 'acquire', 'terminate', 'start', 'acquire']);
	t.deepEqual(
		said.map(({event, code}) => code ?? event),
		['held', 'released', 'held', 'ended', 'held', 'EADDRINUSE'],
	);
});

test.serial('threads take and release locks in turn, before and after the main thread', async t => {
	const commands = ['acquire', 'start', 'exit', 'start', 'terminate', 'acquire', 'start', 'release', 'exit', 'acquire'];
	const {said} = await threads(t, commands);
	t.deepEqual(
		said.map(({event}) => event),
		['held', 'held', 'ended', 'held', 'ended', 'held', 'held', 'released', 'ended', 'held'],
	);
});

for (const end of ['exit', 'kill', 'end of input'] as const) {
	test.serial(`the lock of a process ends with it: ${end}`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		const program = start(t, 'holder', ['acquire', address]);
		await program.expect('held');
		if (end === 'end of input') program.end();
		else program.send(end);
		await program.exited;
		t.deepEqual(namesIn(directory), ['s.lock'], 'a lock file without a lock');
		t.is((await inspect(address)).state, 'free');
		await (await acquire(address)).release();
	});
}
