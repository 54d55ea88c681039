/**
 * Tests locks on filesystems whose device number differs between /proc/locks and stat(2).
 */

import {execFileSync} from 'node:child_process';
import {chmodSync, mkdirSync, statSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {lockContention} from '../../../src/kernel/flock/lock-holders.js';
import {atOnce} from '../../../src/kernel/interruptible.js';
import type {Contention, FileStatus} from '../../../src/model/system.js';
import {noFlockCommand, noOtherUser, otherUid, testUnless} from '../../helpers/abilities.js';
import {statusOf} from '../../helpers/command.js';
import {fileStatusOf} from '../../helpers/kernel.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {hang, mountBtrfs, mountByFuse, noBtrfs, noFuse} from '../../helpers/mounts.js';
import {start, startCommand, temporaryDirectory} from '../../helpers/programs.js';

checkLeaks();

/** The device of a filesystem without a device of its own, which is not mounted. */
const anonymousDevice = 0xfff000ff;

function contentionOf(lockPath: string, status: Partial<FileStatus>): Contention {
	return atOnce(lockContention({...fileStatusOf(lockPath), ...status}, lockPath, undefined));
}

async function startShell(t: ExecutionContext, lockPath: string, script: string): Promise<number> {
	const program = startCommand(t, 'sh', ['-c', script, lockPath]);
	await program.expect('line');
	return program.pid;
}

testUnless(noFlockCommand())('a lock whose taker has exited counts if its device is the mount of the file', async t => {
	// Without the suffix `.lock` the shell is not found, like a process of another user.
	const lockPath = join(temporaryDirectory(t), 'locked');
	await startShell(t, lockPath, 'exec 9>>"$0" && flock -x 9 && echo locked && read line');
	t.is(contentionOf(lockPath, {}).kind, 'exclusive');
	t.deepEqual(contentionOf(lockPath, {dev: anonymousDevice}), {kind: 'exclusive', holder: undefined});
	t.deepEqual(
		contentionOf(lockPath, {dev: 0x801}),
		{kind: 'unseen', holder: undefined, elsewhere: false},
		'a disk has one number',
	);
	const {ino} = statSync(lockPath);
	t.deepEqual(
		contentionOf('/proc/version', {dev: anonymousDevice, ino}),
		{kind: 'unseen', holder: undefined, elsewhere: false},
		'on another mount',
	);
});

testUnless(noFlockCommand())('a lock on a descriptor of another file does not count', async t => {
	const lockPath = join(temporaryDirectory(t), 's.lock');
	await startShell(t, lockPath, 'flock -x "$0" sh -c "echo locked; exec cat"');
	t.is(contentionOf(lockPath, {}).kind, 'exclusive');
	t.deepEqual(contentionOf(lockPath, {dev: anonymousDevice}), {kind: 'unseen', holder: undefined, elsewhere: false});
});

testUnless(noFuse(), noFlockCommand())('no descriptor on a mount that hangs is read', async t => {
	const directory = temporaryDirectory(t);
	mkdirSync(join(directory, 'real'));
	const fuse = await mountByFuse(t, join(directory, 'real'), join(directory, 'mirror'));
	const other = join(directory, 'mirror/s.lock');
	const pid = await startShell(t, other, 'exec 9>>"$0" && flock -x 9 && echo locked && read line');
	hang(t, fuse);
	const address = join(directory, 's');
	writeFileSync(`${address}.lock`, `${pid}\n${JSON.stringify({bindlock: 1, pid, fd: 9})}\n`);
	t.is((await statusOf(address))['state'], 'free');
});

testUnless(noBtrfs(), noOtherUser())('btrfs: a lock of another user, whose descriptors are hidden, counts', async t => {
	const directory = join(mountBtrfs(t), 'a');
	execFileSync('btrfs', ['--quiet', 'subvolume', 'create', directory]);
	chmodSync(directory, 0o777);
	const address = join(directory, 's');
	const holder = start(t, 'holder', ['acquire', address], {uid: otherUid + 1});
	await holder.expect('held');
	chmodSync(`${address}.lock`, 0o666);
	t.like(await statusOf(address, {uid: otherUid}), {state: 'held', holder: {pid: holder.pid, verified: false}});
	t.like(await statusOf(address), {state: 'held', holder: {pid: holder.pid, verified: true}});
	truncateSync(`${address}.lock`);
	const seen = await statusOf(address, {uid: otherUid});
	t.is(seen['state'], 'held');
	t.is(seen['holder'], undefined);
	holder.send('release');
	await holder.expect('released');
	t.is((await statusOf(address, {uid: otherUid}))['state'], 'free');
});

testUnless(noBtrfs())(
	'btrfs: the lock of a file with the same inode number in another subvolume does not count',
	async t => {
		const at = mountBtrfs(t);
		const [one = '', other = ''] = ['a', 'b'].map(name => {
			execFileSync('btrfs', ['--quiet', 'subvolume', 'create', join(at, name)]);
			return join(at, name, 's');
		});
		const holder = start(t, 'holder', ['acquire', one]);
		await holder.expect('held');
		writeFileSync(`${other}.lock`, '');
		t.is(statSync(`${other}.lock`).ino, statSync(`${one}.lock`).ino);
		t.is((await statusOf(one))['state'], 'held');
		t.is((await statusOf(other))['state'], 'free');
	},
);
