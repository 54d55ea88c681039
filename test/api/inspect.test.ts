/**
 * Tests that `inspect` disturbs neither a concurrent `acquire` nor a running server.
 */
import {once} from 'node:events';
import {writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire, BindLockError, inspect} from '../../src/index.js';
import {noAddon, noFlockCommand, noKoffi, noMounts, testUnless} from '../helpers/abilities.js';
import {runToEnd} from '../helpers/command.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks, countDescriptors} from '../helpers/leaks.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {treeOf} from '../helpers/tree.js';

checkLeaks();

/** With flock(1) each acquire starts a process. */
const isFast: boolean = [noAddon(), noKoffi()].includes(undefined) && process.env['BINDLOCK_FLOCK'] !== 'command';
const takings: number = isFast ? 1000 : 100;

for (const options of [{}, {removeLockFile: true}]) {
	const title = `continuous inspection makes none of ${takings} acquires in another process fail: ${JSON.stringify(options)}`;
	test.serial(title, async t => {
		const address = join(temporaryDirectory(t), 's');
		const cycler = start(t, 'cycler', [address, String(takings), JSON.stringify(options)]);
		await cycler.expect('ready');
		cycler.send('go');
		let done = false;
		const outcome = cycler.expect('done').finally(() => {
			done = true;
		});
		const states = new Set<string>();
		while (!done) {
			for (let time = 0; time < 20; time++) states.add((await inspect(address)).state);
			await new Promise(setImmediate);
		}
		t.deepEqual((await outcome)['errors'], []);
		t.true(states.has('held'), `inspect saw the other process at work; states: ${[...states]}`);
		t.deepEqual(
			[...states].filter(state => state !== 'held' && state !== 'free'),
			[],
		);
	});
}

test.serial('inspect connects to no server, changes no file and keeps no descriptor', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	let connections = 0;
	const server = createServer(() => connections++).listen(address);
	await once(server, 'listening');
	const locked = await acquire(join(directory, 'locked'));
	await makeStale(join(directory, 'stale'));
	const before = treeOf(directory);
	const descriptors = countDescriptors();
	for (let time = 0; time < 50; time++) {
		t.is((await inspect(address)).state, 'foreign');
		t.is((await inspect(join(directory, 'locked'))).state, 'held');
		t.is((await inspect(join(directory, 'stale'))).state, 'stale');
		t.is((await inspect(join(directory, 'nothing'))).state, 'free');
	}
	t.is(countDescriptors(), descriptors);
	t.deepEqual(treeOf(directory), before);
	await new Promise(setImmediate);
	t.is(connections, 0);
	await locked.release();
	server.close();
	await once(server, 'close');
});

test.serial('inspect does not connect to a server that has a lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	let connections = 0;
	const server = createServer(() => connections++).listen(address);
	await once(server, 'listening');
	for (let time = 0; time < 10; time++) t.is((await inspect(address)).state, 'held');
	await new Promise(setImmediate);
	t.is(connections, 0);
	server.close();
	await lock.release();
});

testUnless(noFlockCommand())('a lasting shared lock is blocked, and a short one is not', async t => {
	const address = join(temporaryDirectory(t), 's');
	writeFileSync(`${address}.lock`, '');
	const reader = startCommand(t, 'flock', ['-s', `${address}.lock`, 'sh', '-c', 'echo up; exec cat']);
	await reader.expect('line');
	const {state, holder, reason} = await inspect(address);
	t.is(state, 'blocked');
	t.true(holder?.verified);
	t.is(reason?.code, 'EADDRINUSE');
	t.regex(reason?.message ?? '', /a shared lock on its lock file is kept by pid/);
	const looking = inspect(address);
	reader.end();
	t.like(await looking, {state: 'free', found: 'nothing'});
});

testUnless(noMounts())('without /proc, as on macOS, the record of a live process counts', async t => {
	const directory = temporaryDirectory(t);
	const command = new URL('../../src/cli/main.js', import.meta.url).pathname;
	for (const mode of ['acquire', 'listen']) {
		const address = join(directory, mode);
		const holder = start(t, 'holder', [mode, address, '{"label":"blue"}']);
		await holder.expect('held');
		const look = async () => {
			const script = 'mount -t tmpfs none /proc && exec "$@"';
			const args = ['--mount', 'sh', '-c', script, 'sh', process.execPath, command, 'status', '--json', address];
			const {stdout} = await runToEnd('unshare', args);
			return JSON.parse(stdout);
		};
		t.like(await look(), {state: 'held', holder: {pid: holder.pid, label: 'blue', verified: false}}, mode);
		await holder.kill();
		t.is((await look()).state, mode === 'listen' ? 'stale' : 'free', mode);
	}
});

test.serial('an invalid address is an error, not a state', async t => {
	await t.throwsAsync(inspect(''), {instanceOf: BindLockError, code: 'ERR_ADDRESS_EMPTY'});
	await t.throwsAsync(inspect('/p/'), {instanceOf: BindLockError, code: 'ERR_ADDRESS_SPELLING'});
	await t.throwsAsync(inspect(1 as unknown as string), {instanceOf: BindLockError, code: 'ERR_INVALID_ARG_TYPE'});
});

test.serial('inspect accepts every spelling, and returns the address as given', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	for (const given of [address, `unix:${address}`, `unix://${address}`, join(address, '..', '.', 's')]) {
		t.like(await inspect(given), {state: 'held', address: given, lockPath: `${address}.lock`});
	}
	await lock.release();
});
