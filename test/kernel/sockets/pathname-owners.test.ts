/**
 * Tests which process is bound to a socket file.
 */
import {once} from 'node:events';
import {chmodSync, chownSync, linkSync, mkdirSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire} from '../../../src/index.js';
import {noMounts, noOtherUser, noPython, otherUid, python, testUnless} from '../../helpers/abilities.js';
import {makeStale} from '../../helpers/detectors.js';
import {boundAt} from '../../helpers/kernel.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {notRoot, start, startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {serveNaively, startSocket} from '../../helpers/sockets.js';

checkLeaks();

test.serial('the process is found by the inode, and not by the last path component', async t => {
	const [here, there] = [temporaryDirectory(t), temporaryDirectory(t)];
	await makeStale(join(here, 'table'));
	serveNaively(t, join(there, 'table'));
	t.is(await boundAt(join(here, 'table')), undefined);
	t.like((await boundAt(join(there, 'table')))?.holder, {pid: process.pid, verified: true});
});

test.serial('a dead server is not bound, although a client still has its connection', async t => {
	const address = join(temporaryDirectory(t), 'table');
	const program = start(t, 'naive', [address]);
	await program.expect('listening');
	t.is((await boundAt(address))?.holder?.pid, program.pid);
	const client = connect(address).on('error', () => {});
	client.pause();
	await once(client, 'connect');
	await program.kill();
	t.is(await boundAt(address), undefined);
	client.destroy();
});

testUnless(noPython())('a socket of any type is found, listening or not', async t => {
	for (const kind of ['bound', 'datagram', 'seqpacket'] as const) {
		const address = join(temporaryDirectory(t), 'table');
		const program = await startSocket(t, kind, address);
		t.like((await boundAt(address))?.holder, {pid: program.pid, verified: true}, kind);
	}
});

test.serial('a server is found by each hard link of its file', async t => {
	const directory = temporaryDirectory(t);
	serveNaively(t, join(directory, 'table'));
	mkdirSync(join(directory, 'd'));
	linkSync(join(directory, 'table'), join(directory, 'd', 'table'));
	t.like((await boundAt(join(directory, 'd', 'table')))?.holder, {pid: process.pid});
});

testUnless(notRoot, noPython())('a server with another root directory is found', async t => {
	const directory = temporaryDirectory(t);
	const program = await startSocket(t, 'bound', '/table', {chroot: directory});
	t.like((await boundAt(join(directory, 'table')))?.holder, {pid: program.pid});
});

testUnless(noMounts())('a server in another mount namespace is found', async t => {
	const [here, there] = [temporaryDirectory(t), temporaryDirectory(t)];
	const before = ['unshare', '--mount', 'sh', '-c', `mount --bind '${here}' '${there}' && exec "$@"`, 'sh'];
	const program = start(t, 'naive', [join(there, 'table')], {before});
	await program.expect('listening');
	t.like((await boundAt(join(here, 'table')))?.holder, {pid: program.pid});
});

testUnless(noPython())('a server bound by a path below /proc/self is found', async t => {
	const directory = temporaryDirectory(t);
	for (const path of ['/proc/self/cwd/table', '/proc/thread-self/cwd/table']) {
		const program = await startSocket(t, 'bound', path, {cwd: directory});
		t.like((await boundAt(join(directory, 'table')))?.holder, {pid: program.pid}, path);
		await t.throwsAsync(acquire(join(directory, 'table')), {code: 'EADDRINUSE'}, path);
		await program.kill();
		await (await acquire(join(directory, 'table'))).release();
	}
});

testUnless(noPython())('a server in a directory whose name is not UTF-8 is found', async t => {
	const directory = temporaryDirectory(t);
	const script = `import os, socket, sys
os.mkdir(os.fsencode(sys.argv[1]) + b'/\\xff')
os.symlink(b'\\xff', os.fsencode(sys.argv[1]) + b'/link')
server = socket.socket(socket.AF_UNIX)
server.bind(os.fsencode(sys.argv[1]) + b'/\\xff/table')
print('up', flush=True)
sys.stdin.read()`;
	const program = startCommand(t, python, ['-c', script, directory]);
	await program.expect('line');
	const address = join(directory, 'link', 'table');
	t.not(await boundAt(address), undefined);
	await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
	await program.kill();
	const lock = await acquire(address);
	t.true(lock.reclaimed);
	await lock.release();
});

testUnless(noPython())('half a surrogate pair in an address is the same as U+FFFD', async t => {
	const directory = temporaryDirectory(t);
	await startSocket(t, 'bound', join(directory, 'x\ufffd'));
	await t.throwsAsync(acquire(join(directory, 'x\ud800')), {code: 'EADDRINUSE'});
});

testUnless(noMounts(), noOtherUser())(
	'a server of another user with another file at the same path does not conflict',
	async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		await makeStale(address);
		chmodSync(directory, 0o777);
		chownSync(address, otherUid, otherUid);
		const before = ['unshare', '--mount', 'sh', '-c', `mount -t tmpfs none '${directory}' && exec "$@"`, 'sh'];
		const elsewhere = start(t, 'naive', [address], {before});
		await elsewhere.expect('listening');
		const program = start(t, 'holder', ['listen', address], {uid: otherUid});
		t.like(await program.expect('held'), {reclaimed: true});
	},
);

testUnless(noOtherUser())('a server of another user: EADDRINUSE, and not EPERM', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	serveNaively(t, address);
	chmodSync(directory, 0o777);
	const program = start(t, 'holder', ['listen', address], {uid: otherUid});
	t.like(await program.expect('refused'), {code: 'EADDRINUSE', errno: -98});
});
