/**
 * Tests whether a socket is bound to a file that refuses connections, by the access time of the file.
 */
import {chmodSync, closeSync, constants, lstatSync, mkdirSync, openSync, utimesSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire} from '../../../src/index.js';
import {NodeSystem} from '../../../src/kernel/node-system.js';
import {expectAccess, wasAccessed} from '../../../src/kernel/sockets/probe.js';
import {
	noMounts,
	noNetworkNamespaces,
	noOtherUser,
	noPython,
	otherUid,
	python,
	testUnless,
} from '../../helpers/abilities.js';
import {makeStale} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {mountAt, mountBtrfs, mountByFuse, mountOverlay, noBtrfs, noFuse} from '../../helpers/mounts.js';
import {type StartOptions, startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {startSocket} from '../../helpers/sockets.js';

checkLeaks();

async function connectTo(path: string): Promise<string> {
	const system = new NodeSystem(path);
	const pinned = system.pin(path);
	try {
		return await system.connect(path, pinned);
	} finally {
		if (pinned !== undefined) system.close(pinned);
	}
}

/** Probes a bound socket that does not listen, then a dead one; several times, because each probe changes the access time. */
async function checkAnswers(t: ExecutionContext, directory: string, options: StartOptions = {}): Promise<void> {
	const path = join(directory, 's');
	const server = await startSocket(t, 'bound', path, options);
	const {mtimeNs, mode, uid} = lstatSync(path, {bigint: true});
	for (let time = 0; time < 3; time++) t.is(await connectTo(path), 'BOUND', `time ${time}`);
	await server.kill();
	for (let time = 0; time < 2; time++) t.is(await connectTo(path), 'ECONNREFUSED', `dead, time ${time}`);
	t.like(lstatSync(path, {bigint: true}), {mtimeNs, mode, uid}, 'nothing else has changed');
}

testUnless(noPython())('a bound and a dead socket, on the filesystem of temporary files', async t => {
	await checkAnswers(t, temporaryDirectory(t));
});

testUnless(noPython(), noNetworkNamespaces())('a bound and a dead socket of another network namespace', async t => {
	await checkAnswers(t, temporaryDirectory(t), {before: ['unshare', '--net']});
});

testUnless(noPython(), noMounts())('a bound and a dead socket on tmpfs and overlay', async t => {
	const directory = temporaryDirectory(t);
	mountAt(t, join(directory, 'tmpfs'), 'tmpfs', 'relatime');
	await checkAnswers(t, join(directory, 'tmpfs'));
	mkdirSync(join(directory, 'overlay'));
	await checkAnswers(t, mountOverlay(t, join(directory, 'overlay')).merged);
});

testUnless(noPython(), noBtrfs())('a bound and a dead socket on btrfs', async t => {
	await checkAnswers(t, mountBtrfs(t));
});

testUnless(noPython(), noMounts())('noatime: UNPROVED', async t => {
	const directory = temporaryDirectory(t);
	mountAt(t, join(directory, 'noatime'), 'tmpfs', 'noatime');
	await startSocket(t, 'bound', join(directory, 'noatime', 's'));
	t.is(await connectTo(join(directory, 'noatime', 's')), 'UNPROVED');
});

testUnless(noPython(), noFuse())('FUSE: UNPROVED', async t => {
	const directory = temporaryDirectory(t);
	await mountByFuse(t, temporaryDirectory(t), join(directory, 'mirror'));
	await startSocket(t, 'bound', join(directory, 'mirror', 's'));
	t.is(await connectTo(join(directory, 'mirror', 's')), 'UNPROVED');
});

test.serial('an access time in the future: UNPROVED', async t => {
	const path = join(temporaryDirectory(t), 's');
	await makeStale(path);
	utimesSync(path, Date.now() / 1000 + 100, Date.now() / 1000);
	t.is(await connectTo(path), 'UNPROVED');
});

test.serial('an access time that a client has set is not mistaken for an access', async t => {
	const path = join(temporaryDirectory(t), 's');
	await makeStale(path);
	const pinned = openSync(path, 0o10000000 | constants.O_NOFOLLOW);
	const before = await expectAccess(pinned);
	if (before === undefined) return t.fail('accesses are noted here');
	t.false(wasAccessed(pinned, before));
	utimesSync(path, Date.now() / 1000, Number(before.mtimeNs) / 1e9 + 10);
	t.is(wasAccessed(pinned, before), undefined);
	closeSync(pinned);
	t.is(await expectAccess(pinned), undefined);
});

testUnless(noPython(), noOtherUser())(
	'another user who sets the access time continuously does not keep a dead socket from being removed',
	async t => {
		const directory = temporaryDirectory(t);
		const path = join(directory, 'touched');
		await makeStale(path);
		chmodSync(directory, 0o755);
		chmodSync(path, 0o777);
		const script = 'import os, sys\nprint("up", flush=True)\nwhile os.path.exists(sys.argv[1]): os.utime(sys.argv[1])';
		const stranger = startCommand(t, python, ['-c', script, path], {uid: otherUid});
		await stranger.expect('line');
		const lock = await acquire(path);
		t.true(lock.reclaimed);
		await lock.release();
	},
);
