/**
 * Tests directories and filesystems that refuse the lock file or the socket: the error, and the unchanged files.
 */
import {chmodSync, chownSync, existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError} from '../../src/index.js';
import type {System} from '../../src/model/system.js';
import {lacking, noAddon, noFlockCommand, noMounts, noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {statusOf} from '../helpers/command.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {type Event, start, temporaryDirectory} from '../helpers/programs.js';
import {systemWith, takeWith} from '../helpers/protocol.js';
import {namesIn, treeOf} from '../helpers/tree.js';

checkLeaks();

test.serial('a missing directory is ENOENT, and is not created', async t => {
	const directory = temporaryDirectory(t);
	await t.throwsAsync(acquire(join(directory, 'a', 's')), {
		instanceOf: BindLockError,
		code: 'ENOENT',
		message: /create the/,
	});
	t.deepEqual(namesIn(directory), []);
});

test.serial('a file as a directory of the path is ENOTDIR', async t => {
	const directory = temporaryDirectory(t);
	writeFileSync(join(directory, 'a'), 'text');
	const before = treeOf(directory);
	await t.throwsAsync(acquire(join(directory, 'a', 's')), {
		instanceOf: BindLockError,
		code: 'ENOTDIR',
		message: /not a dir/,
	});
	t.deepEqual(treeOf(directory), before);
});

const maybeAsOther = testUnless(noOtherUser());

async function refusedAsOther(t: ExecutionContext, address: string): Promise<Event> {
	const program = start(t, 'holder', ['acquire', address], {uid: otherUid});
	return program.expect('refused');
}

maybeAsOther('a directory without write permission is EACCES, and no file changes', async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o755);
	await makeStale(join(directory, 's'));
	const before = treeOf(directory);
	t.like(await refusedAsOther(t, join(directory, 's')), {code: 'EACCES', errno: -13, syscall: 'open', ours: true});
	t.deepEqual(treeOf(directory), before);
});

maybeAsOther('a lock file without permission is EACCES, and no file changes', async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o777);
	for (const mode of [0o600, 0o644]) {
		writeFileSync(join(directory, 's.lock'), '');
		chmodSync(join(directory, 's.lock'), mode);
		const before = treeOf(directory);
		const refused = await refusedAsOther(t, join(directory, 's'));
		t.like(refused, {code: 'EACCES', syscall: 'open', ours: true});
		t.deepEqual(treeOf(directory), before);
		const whose = `it belongs to uid 0 and has mode 0${mode.toString(8)}, and this process is uid ${otherUid}: `;
		for (const message of [refused['message'], await reasonAsOther(join(directory, 's'))]) {
			t.true(String(message).includes(whose), String(message));
			t.regex(String(message), new RegExp(`chown it to uid ${otherUid}, or remove it when no server of uid 0 runs`));
		}
	}
});

maybeAsOther('an own lock file without write permission: the message gives the chmod', async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o777);
	writeFileSync(join(directory, 's.lock'), '');
	chownSync(join(directory, 's.lock'), otherUid, otherUid);
	chmodSync(join(directory, 's.lock'), 0o400);
	const {message} = await refusedAsOther(t, join(directory, 's'));
	t.regex(String(message), new RegExp(`belongs to uid ${otherUid} and has mode 0400, .*; chmod it to 0600$`));
});

/** Returns the reason that `status` of another user gives for `blocked`. */
async function reasonAsOther(address: string): Promise<string | undefined> {
	const {reason} = (await statusOf(address, {uid: otherUid})) as {reason?: {message: string}};
	return reason?.message;
}

const maybeMounted = testUnless(noMounts());

/** Returns a command prefix that mounts a filesystem on the directory in a new mount namespace. */
function mounting(directory: string, options: string, then = 'true'): string[] {
	const script = `mount -t tmpfs -o ${options} none "$0" && cd "$0" && ${then} && exec "$@"`;
	return ['unshare', '--mount', 'sh', '-c', script, directory];
}

maybeMounted('a read-only filesystem is EROFS, with and without a lock file', async t => {
	const directory = temporaryDirectory(t);
	for (const prepare of ['true', ': > s.lock']) {
		const before = mounting(directory, 'mode=755', `${prepare} && mount -o remount,ro "$0"`);
		const program = start(t, 'holder', ['acquire', join(directory, 's')], {before});
		t.like(await program.expect('refused'), {code: 'EROFS', syscall: 'open', ours: true});
		t.deepEqual(namesIn(`/proc/${program.pid}/root${directory}`), prepare === 'true' ? [] : ['s.lock']);
	}
	t.deepEqual(namesIn(directory), []);
});

maybeMounted('a full disk: the lock is held, without a record', async t => {
	const directory = temporaryDirectory(t);
	const before = mounting(directory, 'size=16k', '{ head -c 100000 /dev/zero > full 2> /dev/null || true; }');
	const program = start(t, 'holder', ['acquire', join(directory, 's')], {before});
	await program.expect('held');
	const seen = `/proc/${program.pid}/root${directory}`;
	t.deepEqual(namesIn(seen), ['full', 's.lock']);
	t.is(readFileSync(join(seen, 's.lock'), 'utf8'), '');
	const error = await t.throwsAsync(acquire(join(seen, 's')), {instanceOf: BindLockError, code: 'EADDRINUSE'});
	t.like(error?.holder, {pid: program.pid, verified: true});
	program.send('release');
	t.like(await program.expect('released'), {held: false});
	await (await acquire(join(seen, 's'))).release();
});

maybeMounted('a disk without free inodes is ENOSPC, and no file is left', async t => {
	const directory = temporaryDirectory(t);
	const before = mounting(directory, 'nr_inodes=2', ': > taken');
	const program = start(t, 'holder', ['acquire', join(directory, 's')], {before});
	t.like(await program.expect('refused'), {code: 'ENOSPC', syscall: 'open', ours: true});
	t.deepEqual(namesIn(`/proc/${program.pid}/root${directory}`), ['taken']);
});

/** A system whose flock always fails. */
function failing(code: string): System {
	return systemWith({
		flock() {
			throw Object.assign(new Error(`${code}: flock`), {code, syscall: 'flock'});
		},
	});
}

for (const code of ['EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENOLCK', 'EIO']) {
	test.serial(`flock fails with ${code}: acquire fails, and an existing lock file and socket stay`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		await makeStale(address);
		writeFileSync(`${address}.lock`, '');
		const before = treeOf(directory);
		const error = await t.throwsAsync(takeWith(failing(code), address), {instanceOf: BindLockError, code});
		t.like(error, {syscall: 'flock', path: `${address}.lock`});
		t.regex(error?.message ?? '', code === 'EIO' ? /flock failed \(EIO\)/ : /does not support flock/);
		t.deepEqual(treeOf(directory), before);
	});
}

for (const code of ['EOPNOTSUPP', 'ENOSYS', 'EINVAL']) {
	test.serial(`flock fails with ${code}: a new lock file is removed`, async t => {
		const directory = temporaryDirectory(t);
		await t.throwsAsync(takeWith(failing(code), join(directory, 's')), {code});
		t.deepEqual(namesIn(directory), []);
	});
}

testUnless(lacking('prlimit'))('a record that is written in part is removed, and the lock is held', async t => {
	const address = join(temporaryDirectory(t), 's');
	// As if the disk filled up during the write: the kernel writes 20 bytes, and returns 20.
	const holder = start(t, 'holder', ['acquire', address], {before: ['prlimit', '--fsize=20']});
	await holder.expect('held');
	t.is(readFileSync(`${address}.lock`, 'utf8'), '');
	await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
	holder.send('release');
	await holder.expect('released');
	await (await acquire(address)).release();
});

maybeAsOther('users who may write the lock file share an address', async t => {
	const directory = temporaryDirectory(t);
	chownSync(directory, otherUid, otherUid);
	const address = join(directory, 's');
	const lock = await acquire(address);
	chownSync(`${address}.lock`, otherUid, otherUid);
	t.like(await refusedAsOther(t, address), {code: 'EADDRINUSE', ours: true});
	await lock.release();
	await start(t, 'holder', ['acquire', address], {uid: otherUid}).expect('held');
	const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
	t.is(error?.holder?.uid, otherUid);
});

for (const [way, obstacle] of [
	['addon', noAddon()],
	['command', noFlockCommand()],
] as const) {
	testUnless(obstacle)(`with few or no free descriptors: EMFILE, and no file is deleted (flock by ${way})`, async t => {
		const directory = temporaryDirectory(t);
		const names = Array.from({length: 20}, (_, index) => String(index));
		for (const name of names) await makeStale(join(directory, name));
		const program = start(t, 'starved', [directory, String(names.length)], {
			before: ['sh', '-c', 'ulimit -n 60 && exec "$@"', 'sh'],
			env: {BINDLOCK_FLOCK: way},
		});
		await program.expect('ready');
		const outcomes: Event[] = [];
		for (const _ of names) outcomes.push(await program.expect('outcome'));
		for (const outcome of outcomes) {
			const {free, leftFree, code, reclaimed} = outcome;
			t.true(code === 'ok' ? reclaimed : code === 'EMFILE', JSON.stringify(outcome));
			t.is(existsSync(join(directory, String(free))), code !== 'ok', 'the socket file exists');
			// A failed spawnSync of Node keeps an epoll descriptor itself.
			if (way === 'addon') t.is(leftFree, free, 'descriptors kept');
		}
		t.deepEqual([outcomes[0]?.code, outcomes[1]?.code, outcomes.at(-1)?.code], ['EMFILE', 'EMFILE', 'ok']);
		if (way === 'addon') t.regex(String(outcomes[1]?.message), /^Cannot tell whether a server is bound/);
	});
}
