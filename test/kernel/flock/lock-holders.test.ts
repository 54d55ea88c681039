/**
 * Tests the search for the holder in the kernel's tables. A record counts only if the kernel does not contradict it.
 */

import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {chownSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError, type Holder, inspect} from '../../../src/index.js';
import {hasEnded, lockContention} from '../../../src/kernel/flock/lock-holders.js';
import {atOnce} from '../../../src/kernel/interruptible.js';
import {bootId, namespaceOf} from '../../../src/kernel/proc/namespaces.js';
import {parseRecord} from '../../../src/model/record.js';
import type {Contention} from '../../../src/model/system.js';
import {noAddon, noFlockCommand, noOtherUser, noPidNamespaces, otherUid, testUnless} from '../../helpers/abilities.js';
import {cli, jsonLines, runToEnd} from '../../helpers/command.js';
import {isLate, until} from '../../helpers/deadlines.js';
import {fileStatusOf} from '../../helpers/kernel.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {type Program, start, startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {giveBack, systemWith, takeWith} from '../../helpers/protocol.js';

checkLeaks();

/** Larger than every pid that Linux assigns. */
const unusedPid = 4_194_999;

function recordOf(pid: number, more: object = {}): string {
	return `${pid}\n${JSON.stringify({bindlock: 1, pid, fd: 3, since: '2020-01-01T00:00:00.000Z', ...more})}\n`;
}

function contentionOf(address: string): Contention {
	const lockPath = `${address}.lock`;
	const record = parseRecord(readFileSync(lockPath, 'utf8'));
	if (record === 'foreign') throw new Error('no lock file');
	return atOnce(lockContention(fileStatusOf(lockPath), lockPath, record));
}

/** Returns the holder that the error names. */
async function refusedBy(t: ExecutionContext, address: string): Promise<Holder | undefined> {
	const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
	return error?.holder;
}

/** Starts a flock(1) that takes the lock and runs a program. */
async function startFlock(t: ExecutionContext, address: string, ...options: readonly string[]): Promise<Program> {
	const program = startCommand(t, 'flock', [...options, `${address}.lock`, 'sh', '-c', 'echo locked; exec cat']);
	await program.expect('line');
	return program;
}

const maybe = testUnless(noFlockCommand());

test.serial('a lock of this process: confirmed by the kernel, with label and time from the record', async t => {
	const address = join(temporaryDirectory(t), 's');
	const before = Date.now();
	const lock = await acquire(address, {label: 'blue'});
	const {kind, holder} = contentionOf(address);
	t.is(kind, 'exclusive');
	t.like(holder, {pid: process.pid, uid: process.geteuid?.(), label: 'blue', verified: true});
	const since = holder?.since?.getTime() ?? 0;
	t.true(since >= before && since <= Date.now(), 'since the lock was taken, not the process started');
	t.true(holder?.command?.includes('ava'), holder?.command);
	t.deepEqual(await refusedBy(t, address), holder);
	await lock.release();
	t.deepEqual(contentionOf(address), {kind: 'unseen', holder: undefined, elsewhere: false});
});

maybe('a flock(1) that runs a command is the holder, since its start', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await startFlock(t, address, '-x');
	const holder = await refusedBy(t, address);
	t.like(holder, {pid: program.pid, label: undefined, verified: true});
	t.is(holder?.command, 'flock');
	t.true(Math.abs(Date.now() - (holder?.since?.getTime() ?? 0)) < 20_000, String(holder?.since));
});

maybe('a shell that locked its own descriptor is the holder, and not the flock(1) that took the lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `exec 9>>'${address}.lock' && flock -x 9 && echo locked && read line`;
	const program = startCommand(t, 'sh', ['-c', script]);
	await program.expect('line');
	t.like(await refusedBy(t, address), {pid: program.pid, command: 'sh', verified: true});
	t.like(contentionOf(address), {kind: 'exclusive', holder: {pid: program.pid}});
});

maybe('a stale record adds nothing to a holder that writes no record', async t => {
	for (const pid of [unusedPid, process.pid]) {
		const address = join(temporaryDirectory(t), 's');
		writeFileSync(`${address}.lock`, recordOf(pid, {label: 'old', uid: 77, command: 'old'}));
		const program = await startFlock(t, address, '-x');
		const holder = await refusedBy(t, address);
		t.like(holder, {pid: program.pid, uid: process.geteuid?.(), label: undefined, verified: true});
		t.true(holder?.command?.startsWith('flock'), holder?.command);
		t.not(holder?.since?.getUTCFullYear(), 2020);
	}
});

test.serial('a record with the right pid and another descriptor belongs to the holder', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = start(t, 'holder', ['acquire', address]);
	await program.expect('held');
	for (const content of [recordOf(program.pid, {fd: 0, label: 'green'}), `${program.pid}\n`, '']) {
		writeFileSync(`${address}.lock`, content);
		const holder = await refusedBy(t, address);
		t.like(holder, {pid: program.pid, verified: true}, content);
		t.is(holder?.label, content.includes('green') ? 'green' : undefined);
	}
});

maybe('a short shared lock does not refuse acquire', async t => {
	const address = join(temporaryDirectory(t), 's');
	const reader = await startFlock(t, address, '-s');
	t.like(contentionOf(address), {kind: 'shared', holder: {pid: reader.pid}});
	let pauses = 0;
	const taken = await takeWith(
		systemWith({
			async pause() {
				pauses++;
				await reader.kill();
				// Its child `cat` has closed its output, and may close the lock file a moment later.
				await until(() => contentionOf(address).kind === 'unseen', 'the end of the shared lock');
			},
		}),
		address,
	);
	t.is(pauses, 1);
	giveBack(address, taken);
});

maybe('a lasting shared lock refuses acquire, and the message says so', async t => {
	const address = join(temporaryDirectory(t), 's');
	const reader = await startFlock(t, address, '-s');
	const pauses: number[] = [];
	const system = systemWith({
		async pause(_, milliseconds) {
			pauses.push(milliseconds);
		},
	});
	await t.throwsAsync(takeWith(system, address), {code: 'EADDRINUSE'});
	const sum = pauses.reduce((total, pause) => total + pause, 0);
	t.true(sum >= 100 && sum < 300, `waited ${pauses.join(' + ')} ms`);
	const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
	t.regex(error?.message ?? '', /shared lock/);
	t.like(error?.holder, {pid: reader.pid, verified: true});
});

maybe('a shared lock that an exited flock(1) took: the holder is the shell that has it', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `exec 9>>'${address}.lock' && flock -s 9 && echo locked && read line`;
	const reader = startCommand(t, 'sh', ['-c', script]);
	await reader.expect('line');
	t.like(contentionOf(address), {kind: 'shared', holder: {pid: reader.pid, command: 'sh'}});
});

maybe('an exclusive lock refuses acquire at once, without a pause', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startFlock(t, address, '-x');
	const system = systemWith({
		pause() {
			throw new Error('paused');
		},
	});
	await t.throwsAsync(takeWith(system, address), {code: 'EADDRINUSE'});
});

maybe('a process that waits for the lock is not its holder', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	writeFileSync(`${address}.lock`, '');
	const script = `exec 9>>'${address}.lock'; echo ready; flock -x 9`;
	const waiting = startCommand(t, 'sh', ['-c', script]);
	await waiting.expect('line');
	const {ino} = statSync(`${address}.lock`);
	const queued = new RegExp(`-> FLOCK .*:${ino} `);
	await until(() => queued.test(readFileSync('/proc/locks', 'utf8')), 'a process that waits for the lock');
	t.is((await refusedBy(t, address))?.pid, process.pid);
	await lock.release();
	await waiting.exited;
});

maybe('the lock of a file with the same name in another directory does not count', async t => {
	const [here, there] = [temporaryDirectory(t), temporaryDirectory(t)];
	await startFlock(t, join(there, 's'), '-x');
	writeFileSync(join(here, 's.lock'), '');
	t.deepEqual(contentionOf(join(here, 's')), {kind: 'unseen', holder: undefined, elsewhere: false});
	await (await acquire(join(here, 's'))).release();
});

// /proc/locks has the pid of the process that took the lock, which confirms nothing about the holder.
for (const [way, obstacle] of [
	['addon', noAddon()],
	['command', noFlockCommand()],
] as const) {
	testUnless(noOtherUser(), obstacle)(
		`a holder of another user, whose descriptors are hidden (flock by ${way})`,
		async t => {
			const directory = temporaryDirectory(t);
			const address = join(directory, 's');
			chownSync(directory, otherUid, otherUid);
			const program = start(t, 'holder', ['acquire', address, '{"label":"blue"}'], {env: {BINDLOCK_FLOCK: way}});
			await program.expect('held');
			chownSync(`${address}.lock`, otherUid, otherUid);
			const refused = await start(t, 'holder', ['acquire', address], {uid: otherUid}).expect('refused');
			t.like(refused, {code: 'EADDRINUSE', holder: {pid: program.pid, uid: 0, label: 'blue', verified: false}});
		},
	);
}

const inNamespace = ['unshare', '--pid', '--uts', '--fork', '--kill-child', '--mount-proc'];
const maybeNamespaced = testUnless(noPidNamespaces());

maybeNamespaced(
	'a holder outside our pid namespace on the same host is an unverified claim, not the process with its pid here',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		const lock = await acquire(address);
		const refused = await start(t, 'holder', ['acquire', address], {before: inNamespace}).expect('refused');
		t.like(refused, {code: 'EADDRINUSE', holder: {pid: process.pid, verified: false}});
		t.regex(String(refused['message']), /according to its record/);
		await lock.release();
	},
);

maybeNamespaced('a holder in another container is an unverified claim, with its host', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address, {label: 'blue'});
	const before = [...inNamespace, 'sh', '-c', 'echo elsewhere > /proc/sys/kernel/hostname && exec "$@"', 'sh'];
	const refused = await start(t, 'holder', ['acquire', address], {before}).expect('refused');
	const holder = {pid: process.pid, label: 'blue', host: hostname(), verified: false};
	t.like(refused, {code: 'EADDRINUSE', holder});
	t.regex(String(refused['message']), /according to its record/);
	await lock.release();
});

maybeNamespaced('a holder in a child pid namespace is confirmed, with its pid in our namespace', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = start(t, 'holder', ['acquire', address, '{"label":"inner"}'], {before: inNamespace});
	const {pid} = await program.expect('held');
	t.true(Number(pid) < 10, 'its pid in its own namespace');
	const holder = await refusedBy(t, address);
	t.true(holder?.verified);
	t.regex(holder?.command ?? '', /holder\.js$/);
	t.true(readFileSync(`/proc/${holder?.pid}/cmdline`, 'latin1').includes(address));
});

maybeNamespaced('a lock that /proc/locks of a pid namespace hides, because its taker has exited, is found', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = 'exec 9>>"$0.lock" && flock -x 9 && "$@"';
	const [program = '', ...before] = [...inNamespace, 'sh', '-c', script, address];
	const args = [...before, process.execPath, cli, 'status', '--json', address];
	const {stdout, stderr} = await runToEnd(program, args);
	t.like(jsonLines(stdout)[0], {state: 'held', holder: {pid: 1, verified: true}}, stderr);
});

maybeNamespaced(
	'the record of a container that has ended does not count: /proc/locks shows every lock here, so the lock is free',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = start(t, 'holder', ['acquire', address], {before: inNamespace});
		await program.expect('held');
		await program.kill();
		t.regex(readFileSync(`${address}.lock`, 'utf8'), /pidNamespace/);
		await until(() => contentionOf(address).kind === 'unseen', 'the end of the lock');
		t.false(contentionOf(address).elsewhere);
		t.is((await inspect(address)).state, 'free');
		const other = await runToEnd('unshare', [
			...inNamespace.slice(1),
			process.execPath,
			cli,
			'status',
			'--json',
			address,
		]);
		t.like(
			jsonLines(other.stdout)[0],
			{state: 'held', holder: {verified: false}},
			'from another container this is unknown',
		);
	},
);

test.serial('a killed process counts as ended, even as a zombie', async t => {
	const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {stdio: 'ignore'});
	const {pid = 0} = child;
	const record = {pid, boot: bootId(), pidNamespace: namespaceOf('pid')};
	t.false(hasEnded(record));
	child.kill('SIGKILL');
	// No turn of the event loop, in which Node would reap the process.
	const began = performance.now();
	while (!hasEnded(record) && !isLate(began));
	t.regex(readFileSync(`/proc/${pid}/stat`, 'utf8'), /^\d+ \(.*\) [RXZ] /);
	t.true(hasEnded(record));
	t.false(hasEnded({...record, boot: undefined}));
	t.false(hasEnded({...record, pid: process.pid}));
	await once(child, 'exit');
	t.true(hasEnded(record));
});
