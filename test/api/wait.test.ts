/**
 * Tests waiting for a holder: flock(1) as a queue, orphans, and few resources.
 */
import {spawn} from 'node:child_process';
import {readdirSync, unlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {acquire} from '../../src/index.js';
import {linkOrUndefined} from '../../src/kernel/proc/procfs.js';
import {noAddon, noFlockCommand, noPidNamespaces, testUnless} from '../helpers/abilities.js';
import {until} from '../helpers/deadlines.js';
import {descendants, readOrNothing} from '../helpers/processes.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {pathOf, startHolder, testWaiting, ways} from '../helpers/ways.js';

for (const way of ways.filter(({title}) => title === 'queued by flock(1)')) {
	testWaiting(way, 3);
}

testUnless(noFlockCommand())('a waiter gets the lock of a shell script when its flock(1) ends', async t => {
	const address = pathOf(t);
	const script = startCommand(t, 'flock', [`${address}.lock`, 'sh', '-c', 'echo locked; read -r _; exit 0']);
	await script.next();
	const waiter = start(t, 'waiter', [address]);
	await waiter.expect('waiting');
	script.end();
	t.is((await waiter.next()).event, 'held');
});

testUnless(noFlockCommand())(
	'R1: a holder that unlinks its lock file on release does not split the lock of its waiters',
	async t => {
		const address = pathOf(t);
		const holder = start(t, 'holder', ['listen', address, '{"removeLockFile":true}']);
		await holder.expect('held');
		const waiters = [start(t, 'waiter', [address]), start(t, 'waiter', [address])] as const;
		await Promise.all(waiters.map(waiter => waiter.expect('waiting')));
		holder.send('release');
		const [first] = await Promise.race(waiters.map(async waiter => [waiter, await waiter.peek()] as const));
		await first.expect('held');
		await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
		const second = waiters[first === waiters[0] ? 1 : 0];
		first.send('release');
		await second.expect('held');
	},
);

testUnless(noFlockCommand())(
	'a lock file that is deleted during a wait: the waiter gets the lock after the newcomer',
	async t => {
		const address = pathOf(t);
		const holder = start(t, 'holder', ['acquire', address]);
		await holder.expect('held');
		const waiter = start(t, 'waiter', [address]);
		await waiter.expect('waiting');
		unlinkSync(`${address}.lock`);
		const newcomer = await acquire(address);
		await holder.kill();
		await newcomer.release();
		t.is((await waiter.next()).event, 'held');
	},
);

testUnless(noFlockCommand())('an orphaned flock(1) that briefly takes the lock makes no acquire fail', async t => {
	const address = pathOf(t);
	await (await acquire(address)).release();
	// Like the child of a waiter that has exited: it locks a descriptor that no other process has, and exits.
	const {openSync, closeSync} = await import('node:fs');
	for (let round = 0; round < 30; round++) {
		const descriptor = openSync(`${address}.lock`, 'r+');
		const orphan = spawn('flock', ['-x', '3'], {stdio: ['ignore', 'ignore', 'ignore', descriptor]});
		closeSync(descriptor);
		const gone = new Promise(resolve => orphan.once('exit', resolve));
		await (await acquire(address)).release();
		await gone;
	}
	t.pass();
});

testUnless(noFlockCommand())('a flock(1) without long options, as in BusyBox, queues too', async t => {
	const address = pathOf(t);
	const directory = temporaryDirectory(t);
	const script = `#!/bin/sh\ncase "$*" in *--*) exit 1;; esac\nPATH='${process.env['PATH']}' exec flock "$@"\n`;
	writeFileSync(join(directory, 'flock'), script, {mode: 0o755});
	const holder = await startHolder(t, address);
	const waiter = start(t, 'waiter', [address], {env: {PATH: `${directory}:${process.env['PATH']}`}});
	await waiter.expect('waiting');
	const commandOf = (pid: number): string => readOrNothing(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
	await until(() => descendants(waiter.pid).some(pid => commandOf(pid) === 'flock -x 3 '), 'its flock(1)');
	await holder.kill();
	t.is((await waiter.next()).event, 'held');
});

// The addon is required: with so few descriptors the command cannot even try the lock.
testUnless(noAddon(), noFlockCommand())('a wait with too few descriptors ends at its deadline', async t => {
	const directory = temporaryDirectory(t);
	const count = 8;
	for (let free = 0; free < count; free++) {
		const lock = await acquire(join(directory, String(free)));
		t.teardown(() => lock.release());
	}
	const program = start(t, 'starved', [directory, String(count), '200'], {
		before: ['sh', '-c', 'ulimit -n 60 && exec "$@"', 'sh'],
		env: {BINDLOCK_FLOCK: ''},
	});
	await program.expect('ready');
	const codes: unknown[] = [];
	for (let free = 0; free < count; free++) codes.push((await program.expect('outcome'))['code']);
	t.log(codes.join(' '));
	t.deepEqual([...new Set(codes)], ['EMFILE', 'EADDRINUSE']);
	t.true(codes.indexOf('EADDRINUSE') < 4, 'there are descriptors for the lock file, but not for a child');
});

testUnless(noFlockCommand(), noPidNamespaces())(
	'a process that is init of its pid namespace keeps no child after a wait',
	async t => {
		const address = pathOf(t);
		await startHolder(t, address);
		const before = ['unshare', '--pid', '--fork', '--mount-proc'];
		const waiter = start(t, 'waiter', [address, '{"waitMs":300}'], {before});
		await waiter.expect('waiting');
		t.is((await waiter.expect('refused'))['pid'], 1);
		const [init = 0] = descendants(waiter.pid);
		await until(() => descendants(init).length === 0, 'the end of all children');
		waiter.end();
		await waiter.exited;
	},
);

const permission = process.allowedNodeEnvironmentFlags.has('--permission')
	? '--permission'
	: '--experimental-permission';

testUnless(noAddon())('a process that may not start children waits by polling', async t => {
	const address = pathOf(t);
	const holder = await startHolder(t, address);
	const nodeOptions = [permission, '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons'];
	const waiter = start(t, 'waiter', [address], {nodeOptions, env: {BINDLOCK_FLOCK: ''}});
	t.like((await waiter.expect('waiting'))['holder'], {pid: holder.pid});
	holder.send('release');
	await waiter.expect('held');
});

testUnless(noFlockCommand())('a waiting process opens no inotify instance', async t => {
	const address = pathOf(t);
	await startHolder(t, address);
	const waiter = start(t, 'waiter', [address, '{"waitMs":300}']);
	await waiter.expect('waiting');
	await waiter.expect('refused');
	const links = readdirSync(`/proc/${waiter.pid}/fd`).map(fd => linkOrUndefined(`/proc/${waiter.pid}/fd/${fd}`));
	t.true(links.length > 3);
	t.false(links.some(link => link?.includes('inotify')));
});

testUnless(noFlockCommand())('a process in the queue of flock(1) does not wake up', async t => {
	const address = pathOf(t);
	await startHolder(t, address);
	const waiter = start(t, 'waiter', [address]);
	await waiter.expect('waiting');
	await until(() => descendants(waiter.pid).length === 2, 'the shell and its flock(1)');
	const switches = (pid: number): number =>
		Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readOrNothing(`/proc/${pid}/status`))?.[1]);
	const pids = [waiter.pid, ...descendants(waiter.pid)];
	// Node does some work after the start of the wait; wait for a second without a context switch.
	let before: number[] = [];
	await until(async () => {
		before = pids.map(switches);
		await new Promise(resolve => setTimeout(resolve, 1000));
		return pids.map(switches).join() === before.join();
	}, 'a second without a wake-up');
	t.deepEqual(pids.map(switches), before);
});
