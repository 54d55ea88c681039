/**
 * Tests other views of a directory, in which a live server refuses connections: its socket file is not removed.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readFileSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError, inspect} from '../../../src/index.js';
import {otherViewOfDirectory, placeOf} from '../../../src/kernel/sockets/other-views.js';
import {lacking, noMounts, noOtherUser, noPython, otherUid, testUnless, withoutSs} from '../../helpers/abilities.js';
import {bindlock} from '../../helpers/command.js';
import {makeStale, reach} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {hang, mountByFuse, mountOverlay, noFuse} from '../../helpers/mounts.js';
import {type Program, start, startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {startSocket} from '../../helpers/sockets.js';
import {inodeOf} from '../../helpers/tree.js';

checkLeaks();

/** Checks that neither `acquire` nor the command removes the file, and that the server is still reachable. */
async function staysBlocked(t: ExecutionContext, seen: string, real: string, server: Program): Promise<BindLockError> {
	const before = inodeOf(real);
	t.like(await inspect(seen), {state: 'blocked', reason: {code: 'ERR_LIVENESS_UNKNOWN'}});
	const error = await t.throwsAsync(acquire(seen), {instanceOf: BindLockError, code: 'ERR_LIVENESS_UNKNOWN'});
	t.regex((await bindlock(['reclaim', seen])).stderr, /was not removed: Cannot tell whether a server is bound/);
	t.is(inodeOf(real), before);
	t.is(await reach(real), server.pid);
	return error as BindLockError;
}

async function serverAt(t: ExecutionContext, address: string): Promise<Program> {
	const server = start(t, 'holder', ['listen', address, '{"heal":false}']);
	await server.expect('held');
	return server;
}

const ownNamespaces = ['unshare', '--user', '--map-root-user', '--mount'];

function noStrangersMounts(): string | undefined {
	const become = [`--reuid=${otherUid}`, `--regid=${otherUid}`, '--clear-groups'];
	const {status} = spawnSync('setpriv', [...become, ...ownNamespaces, 'mount', '-t', 'tmpfs', 'none', '/mnt']);
	return status === 0 ? undefined : 'users may not mount in a namespace of their own';
}

interface Mirror {
	readonly real: string;
	readonly mirror: string;
	readonly fuse: Program;
}

async function mirrored(t: ExecutionContext): Promise<Mirror> {
	const [real, directory] = [temporaryDirectory(t), temporaryDirectory(t)];
	const mirror = join(directory, 'mirror');
	return {real, mirror, fuse: await mountByFuse(t, real, mirror)};
}

const onFuse = testUnless(noFuse());

onFuse('FUSE: the socket of a live server is not removed through a mirror of its directory', async t => {
	const {real, mirror} = await mirrored(t);
	const server = await serverAt(t, join(real, 'viewed'));
	const error = await staysBlocked(t, join(mirror, 'viewed'), join(real, 'viewed'), server);
	t.regex(error.message, /start the server where it runs, or remove the file yourself/);
});

onFuse('FUSE: the socket of a server bound through the mirror is not removed through the directory itself', async t => {
	const {real, mirror} = await mirrored(t);
	const server = await serverAt(t, join(mirror, 'viewed'));
	await staysBlocked(t, join(real, 'viewed'), join(mirror, 'viewed'), server);
});

onFuse('FUSE: the socket of a live server without a lock file is not removed through a mirror', async t => {
	const {real, mirror} = await mirrored(t);
	const server = await serverAt(t, join(real, 'viewed'));
	unlinkSync(join(real, 'viewed.lock'));
	await staysBlocked(t, join(mirror, 'viewed'), join(real, 'viewed'), server);
	t.false(existsSync(join(real, 'viewed.lock')), 'a new lock file is removed');
});

testUnless(noFuse(), lacking('unshare'))(
	'FUSE: the socket of a live server in another network namespace is not removed through a mirror',
	async t => {
		const {real, mirror} = await mirrored(t);
		const server = start(t, 'holder', ['listen', join(real, 'viewed'), '{"heal":false}'], {
			before: ['unshare', '--net'],
		});
		await server.expect('held');
		await staysBlocked(t, join(mirror, 'viewed'), join(real, 'viewed'), server);
	},
);

onFuse('FUSE: a lease, which has no record, does not remove the socket of a live server through a mirror', async t => {
	const {real, mirror} = await mirrored(t);
	const server = await serverAt(t, join(real, 'viewed'));
	unlinkSync(join(real, 'viewed.lock'));
	const before = inodeOf(join(real, 'viewed'));
	await t.throwsAsync(acquire(join(mirror, 'viewed'), {backend: 'lease'}), {code: 'ERR_LIVENESS_UNKNOWN'});
	t.is(inodeOf(join(real, 'viewed')), before);
	t.is(await reach(join(real, 'viewed')), server.pid);
	t.false(existsSync(join(real, 'viewed.lock')));
});

onFuse('FUSE: a crashed server is replaced if its record names a process that has ended', async t => {
	const {mirror} = await mirrored(t);
	const address = join(mirror, 'viewed');
	const server = await serverAt(t, address);
	await server.kill();
	t.like(await inspect(address), {state: 'stale'});
	const lock = await acquire(address);
	t.true(lock.reclaimed);
	await lock.release();
});

onFuse(
	'FUSE: a socket is not replaced if its record is of another boot or pid namespace, or names a live process',
	async t => {
		const {mirror} = await mirrored(t);
		const address = join(mirror, 'viewed');
		const server = await serverAt(t, address);
		await server.kill();
		const record = readFileSync(`${address}.lock`, 'utf8');
		const changed = {
			'another boot': record.replace(/"boot":"[^"]+"/, '"boot":"00000000-0000-0000-0000-000000000000"'),
			'no boot': record.replace(/"boot":"[^"]+",/, ''),
			'another pid namespace': record.replace(/"pidNamespace":"[^"]+"/, '"pidNamespace":"pid:[1]"'),
			'a live process': record.replaceAll(String(server.pid), String(process.ppid)),
			'a bare pid': `${server.pid}\n`,
			nothing: '',
		};
		for (const [what, text] of Object.entries(changed)) {
			t.not(text, record, what);
			writeFileSync(`${address}.lock`, text);
			await t.throwsAsync(acquire(address), {code: 'ERR_LIVENESS_UNKNOWN'}, what);
		}
		writeFileSync(`${address}.lock`, record);
		await (await acquire(address)).release();
	},
);

onFuse(
	'FUSE: a socket is not replaced while a process of the same user is bound to its name on another mount',
	async t => {
		const {real, mirror} = await mirrored(t);
		const crashed = await serverAt(t, join(mirror, 'viewed'));
		await crashed.kill();
		copyFileSync(join(real, 'viewed.lock'), join(real, 'record'));
		unlinkSync(join(real, 'viewed'));
		const server = start(t, 'naive', [join(real, 'viewed'), '{"once":true}']);
		await server.expect('listening');
		copyFileSync(join(real, 'record'), join(real, 'viewed.lock'));
		const before = inodeOf(join(real, 'viewed'));
		await t.throwsAsync(acquire(join(mirror, 'viewed')), {code: 'ERR_LIVENESS_UNKNOWN'});
		t.is(inodeOf(join(real, 'viewed')), before);
	},
);

testUnless(
	noFuse(),
	noPython(),
	noOtherUser(),
)('FUSE: a socket of another user with the same name does not keep a crashed server from restarting', async t => {
	const [mine, theirs] = [temporaryDirectory(t), await mirrored(t)];
	execFileSync('chmod', ['-R', '777', theirs.real]);
	await makeStale(join(mine, 'viewed'));
	const link = join(theirs.mirror, 'viewed');
	const script =
		'import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); print("up", flush=True); sys.stdin.read()';
	// This user owns the mount, but not our file.
	const before = ['setpriv', `--reuid=${otherUid}`, `--regid=${otherUid}`, '--clear-groups'];
	const stranger = startCommand(t, '/usr/bin/python3', ['-c', script, link], {before});
	await stranger.peek().catch(() => undefined);
	const lock = await acquire(join(mine, 'viewed'));
	t.true(lock.reclaimed);
	await lock.release();
});

testUnless(noMounts())(
	'overlay: a crashed server is not replaced while another server is bound in the upper layer',
	async t => {
		const {upper, merged} = mountOverlay(t, temporaryDirectory(t));
		await (await serverAt(t, join(merged, 'viewed'))).kill();
		const record = readFileSync(join(merged, 'viewed.lock'));
		unlinkSync(join(upper, 'viewed'));
		const server = start(t, 'naive', [join(upper, 'viewed'), '{"once":true}']);
		await server.expect('listening');
		writeFileSync(join(merged, 'viewed.lock'), record);
		const before = inodeOf(join(upper, 'viewed'));
		await t.throwsAsync(acquire(join(merged, 'viewed')), {code: 'ERR_LIVENESS_UNKNOWN'});
		t.is(inodeOf(join(upper, 'viewed')), before);
	},
);

onFuse('FUSE: without ss, a server that is bound through the mirror is found by its path', async t => {
	const {real, mirror} = await mirrored(t);
	const server = await serverAt(t, join(mirror, 'viewed'));
	withoutSs(t);
	const before = inodeOf(join(real, 'viewed'));
	await t.throwsAsync(acquire(join(real, 'viewed')), {code: 'ERR_LIVENESS_UNKNOWN'});
	t.is(inodeOf(join(real, 'viewed')), before);
	t.truthy(server.pid);
});

onFuse('FUSE: a server with that name on a mount that hangs does not block acquire', async t => {
	const mine = temporaryDirectory(t);
	await makeStale(join(mine, 'viewed'));
	const {real, mirror, fuse} = await mirrored(t);
	chmodSync(real, 0o777);
	chmodSync(dirname(mirror), 0o755);
	const server = start(t, 'holder', ['listen', join(mirror, 'viewed')], {uid: otherUid});
	await server.expect('held');
	hang(t, fuse);
	t.like(await inspect(join(mine, 'viewed')), {state: 'stale'});
	const lock = await acquire(join(mine, 'viewed'));
	t.true(lock.reclaimed);
	await lock.release();
	t.truthy(server.pid);
});

testUnless(noMounts())('overlay: the socket of a live server is not removed through the upper layer', async t => {
	const {upper, merged} = mountOverlay(t, temporaryDirectory(t));
	for (const directory of ['run']) mkdirSync(join(merged, directory));
	const server = await serverAt(t, join(merged, 'run/viewed'));
	await staysBlocked(t, join(upper, 'run/viewed'), join(merged, 'run/viewed'), server);
});

testUnless(noMounts())(
	'overlay: the socket is not removed through the upper layer if the overlay is in another mount namespace',
	async t => {
		const directory = temporaryDirectory(t);
		const of = (name: string): string => join(directory, name);
		for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(of(name));
		const mount = `mount -t overlay overlay -o lowerdir=${of('lower')},upperdir=${of('upper')},workdir=${of('work')} ${of('merged')}`;
		const before = ['unshare', '--mount', '--net', 'sh', '-c', `${mount} && exec "$@"`, 'sh'];
		const server = start(t, 'holder', ['listen', of('merged/viewed'), '{"heal":false}'], {before});
		await server.expect('held');
		const inode = inodeOf(of('upper/viewed'));
		const error = await t.throwsAsync(acquire(of('upper/viewed')), {code: 'ERR_LIVENESS_UNKNOWN'});
		t.regex(error?.message ?? '', /in the upper layer of the overlay mounted at/);
		t.is(inodeOf(of('upper/viewed')), inode);
	},
);

testUnless(noMounts())(
	'overlay: the socket of a server bound in the upper layer is not removed through the overlay',
	async t => {
		const {upper, merged} = mountOverlay(t, temporaryDirectory(t));
		const server = await serverAt(t, join(upper, 'viewed'));
		await staysBlocked(t, join(merged, 'viewed'), join(upper, 'viewed'), server);
	},
);

testUnless(noMounts())('overlay: a crashed server is replaced', async t => {
	const {merged} = mountOverlay(t, temporaryDirectory(t));
	await makeStale(join(merged, 'viewed'));
	const lock = await acquire(join(merged, 'viewed'));
	t.true(lock.reclaimed);
	await lock.release();
});

testUnless(noMounts())('a socket file that is a mount point is blocked, with advice', async t => {
	const directory = temporaryDirectory(t);
	const [source, address] = [join(directory, 'source'), join(directory, 'viewed')];
	await makeStale(source);
	writeFileSync(address, '');
	execFileSync('mount', ['--bind', source, address]);
	t.teardown(() => spawnSync('umount', ['-l', address]));
	t.deepEqual(await placeOf(address, false), {isMountPoint: true});
	t.like(await inspect(address), {state: 'blocked', reason: {code: 'EBUSY'}});
	await t.throwsAsync(acquire(address), {
		code: 'EBUSY',
		message: /it is a mount point|file is a mount point; mount its directory/,
	});
	const {status, stdout} = await bindlock(['status', address]);
	t.not(status, 0);
	t.regex(stdout, /^blocked .*mount its directory/);
	t.true(existsSync(source));
});

test.serial('a local filesystem has one view', async t => {
	const directory = temporaryDirectory(t);
	await makeStale(join(directory, 'viewed'));
	t.deepEqual(await placeOf(join(directory, 'viewed'), false), {isMountPoint: false});
	t.is(await otherViewOfDirectory(directory), undefined);
	t.deepEqual(await placeOf(join(directory, 'nothing'), false), {isMountPoint: false});
});

onFuse('doctor warns of other views', async t => {
	const {mirror} = await mirrored(t);
	const {stdout} = await bindlock(['doctor', join(mirror, 'viewed')]);
	t.regex(stdout, /^warning +other views: it is on fuse/m);
	const {upper} = mountOverlay(t, temporaryDirectory(t));
	t.regex(
		(await bindlock(['doctor', join(upper, 'viewed')])).stdout,
		/^warning +other views: its directory is in the upper layer/m,
	);
});

testUnless(noFuse(), noPython())('ss tells a bound socket from a dead one where connecting does not', async t => {
	const {mirror} = await mirrored(t);
	const address = join(mirror, 'viewed');
	await startSocket(t, 'bound', address);
	await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
});

testUnless(noMounts(), noPython())(
	'overlay: a server in the upper layer is found by its file, whatever its path',
	async t => {
		const directory = temporaryDirectory(t);
		const {upper, merged} = mountOverlay(t, directory);
		symlinkSync(upper, join(directory, 'link'));
		for (const [path, options] of [
			['relative', {cwd: upper}],
			[join(directory, 'link', 'linked'), {}],
		] as const) {
			await startSocket(t, 'seqpacket', path, options);
			const seen = join(merged, basename(path));
			const before = inodeOf(join(upper, basename(path)));
			const error = await t.throwsAsync(acquire(seen), {code: 'ERR_LIVENESS_UNKNOWN'}, path);
			t.regex(error?.message ?? '', /on another mount, which is the same file/);
			t.is(inodeOf(join(upper, basename(path))), before);
		}
	},
);

testUnless(
	noMounts(),
	noOtherUser(),
	noStrangersMounts(),
)('overlay: an overlay that another user has mounted does not keep a crashed server from restarting', async t => {
	const [run, theirs] = [join(temporaryDirectory(t), 'run'), temporaryDirectory(t)];
	mkdirSync(run);
	await makeStale(join(run, 'crashed'));
	chmodSync(theirs, 0o777);
	const mounts = [
		`mount -t tmpfs none ${theirs}`,
		`cd ${theirs}`,
		'mkdir run work lower merged',
		'mount -t overlay none -o lowerdir=lower,upperdir=run,workdir=work merged',
		'echo mounted',
		'exec cat',
	].join(' && ');
	const before = ['setpriv', `--reuid=${otherUid}`, `--regid=${otherUid}`, '--clear-groups', ...ownNamespaces];
	const stranger = startCommand(t, 'sh', ['-c', mounts], {before});
	t.is((await stranger.next())['line'], 'mounted', stranger.stderr);
	const lock = await acquire(join(run, 'crashed'));
	t.true(lock.reclaimed);
	await lock.release();
});
