/**
 * Who is bound to a socket file, by the kernel's table of sockets.
 */
import {once} from 'node:events';
import {chmodSync, chownSync, linkSync, mkdirSync, readFileSync, renameSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire} from '../../src/index.js';
import {mountOfFile} from '../../src/kernel/mounts/mount-table.js';
import {NodeSystem} from '../../src/kernel/node-system.js';
import {boundTo} from '../../src/kernel/socket-owners.js';
import type {Bound, FileStatus} from '../../src/model/system.js';
import {noMounts, noOtherUser, noPython, otherUid, python, testUnless} from '../helpers/abilities.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {notRoot, start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {serveNaively, startSocket} from '../helpers/sockets.js';

checkLeaks();

function statusOf(path: string): FileStatus {
	const found = new NodeSystem('').lstat(path);
	if (found === undefined) throw new Error(`nothing at ${path}`);
	return found;
}

async function boundAt(path: string): Promise<Bound | undefined> {
	return boundTo(path, statusOf(path), 'possible');
}

test.serial('the process that is, by the file and not by its name', async t => {
	const [here, there] = [temporaryDirectory(t), temporaryDirectory(t)];
	await makeStale(join(here, 'table'));
	serveNaively(t, join(there, 'table'));
	t.is(await boundAt(join(here, 'table')), undefined);
	t.like((await boundAt(join(there, 'table')))?.holder, {pid: process.pid, verified: true});
});

test.serial('a dead server is not bound any more, although a client has not noticed', async t => {
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

test.serial('accepted connections carry the path of their listener, and do not count when it is closed', async t => {
	const address = join(temporaryDirectory(t), 'table');
	const program = start(t, 'naive', [address]);
	await program.expect('listening');
	linkSync(address, `${address}.kept`);
	const client = connect(address);
	await once(client, 'data');
	t.like((await boundAt(address))?.holder, {pid: program.pid}, 'the listener counts');
	program.send('close');
	await program.expect('stopped');
	renameSync(`${address}.kept`, address);
	t.true(
		rowsOf(address).some(row => / 0001 03 /.test(row)),
		'the connection is in the table',
	);
	t.is(await boundAt(address), undefined);
	client.destroy();
});

testUnless(noPython())('connections that wait to be accepted carry it too, and do not hide the listener', async t => {
	const address = join(temporaryDirectory(t), 'table');
	const program = await startSocket(t, 'full', address);
	t.true(rowsOf(address).filter(row => / 0001 02 +0 /.test(row)).length > 20, 'they are in the table');
	t.like((await boundAt(address))?.holder, {pid: program.pid, verified: true});
});

testUnless(noPython())('every type of socket, listening or not', async t => {
	for (const kind of ['bound', 'datagram', 'seqpacket'] as const) {
		const address = join(temporaryDirectory(t), 'table');
		const program = await startSocket(t, kind, address);
		t.like((await boundAt(address))?.holder, {pid: program.pid, verified: true}, kind);
	}
});

test.serial('a server seen through two names of its file', async t => {
	const directory = temporaryDirectory(t);
	serveNaively(t, join(directory, 'table'));
	mkdirSync(join(directory, 'd'));
	linkSync(join(directory, 'table'), join(directory, 'd', 'table'));
	t.like((await boundAt(join(directory, 'd', 'table')))?.holder, {pid: process.pid});
});

testUnless(notRoot, noPython())('a server in another root directory, by its own path there', async t => {
	const directory = temporaryDirectory(t);
	const program = await startSocket(t, 'bound', '/table', {chroot: directory});
	t.like((await boundAt(join(directory, 'table')))?.holder, {pid: program.pid});
});

testUnless(noMounts())('a server in another mount namespace, by its own path there', async t => {
	const [here, there] = [temporaryDirectory(t), temporaryDirectory(t)];
	const before = ['unshare', '--mount', 'sh', '-c', `mount --bind '${here}' '${there}' && exec "$@"`, 'sh'];
	const program = start(t, 'naive', [join(there, 'table')], {before});
	await program.expect('listening');
	t.like((await boundAt(join(here, 'table')))?.holder, {pid: program.pid});
});

testUnless(noPython())('a server that has bound by a name that means another file to each process', async t => {
	const directory = temporaryDirectory(t);
	for (const path of ['/proc/self/cwd/table', '/proc/thread-self/cwd/table']) {
		const program = await startSocket(t, 'bound', path, {cwd: directory});
		t.like((await boundAt(join(directory, 'table')))?.holder, {pid: program.pid}, path);
		await t.throwsAsync(acquire(join(directory, 'table')), {code: 'EADDRINUSE'}, path);
		await program.kill();
		await (await acquire(join(directory, 'table'))).release();
	}
});

testUnless(noPython())('a server that has bound in a directory whose name is not UTF-8', async t => {
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

testUnless(noPython())('an address with half a surrogate pair is what the kernel makes of it', async t => {
	const directory = temporaryDirectory(t);
	await startSocket(t, 'bound', join(directory, 'x\ufffd'));
	await t.throwsAsync(acquire(join(directory, 'x\ud800')), {code: 'EADDRINUSE'});
});

testUnless(noMounts(), noOtherUser())(
	'a server of another user that sees another file at that path is in nobody’s way',
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

testUnless(noOtherUser())(
	'a server of another user is in the way, and not a socket that may not be removed',
	async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		serveNaively(t, address);
		chmodSync(directory, 0o777);
		const program = start(t, 'holder', ['listen', address], {uid: otherUid});
		t.like(await program.expect('refused'), {code: 'EADDRINUSE', errno: -98});
	},
);

function rowsOf(path: string): string[] {
	return readFileSync('/proc/net/unix', 'utf8')
		.split('\n')
		.filter(row => row.endsWith(` ${path}`));
}

testUnless(noPython())('a name that ends like ours, after a space, is another', async t => {
	const directory = temporaryDirectory(t);
	await makeStale(join(directory, 'end'));
	await startSocket(t, 'bound', 'the end', {cwd: directory});
	t.is(await boundAt(join(directory, 'end')), undefined);
});

testUnless(noPython())(
	'a name that looks like a row of the table hides no socket, and keeps no dead one from being removed',
	async t => {
		const directory = temporaryDirectory(t);
		const [dead, alive] = [join(directory, 'd'), join(directory, 'a')];
		await makeStale(dead);
		const server = await startSocket(t, 'bound', alive);
		const script = `import socket, sys
names = [b'\\0' + str(i).encode() + b'\\n0: 00000002 00000000 %s 0001 %s 9 ' % row + path.encode()
  for i, (row, path) in enumerate(zip([(b'00000000', b'01'), (b'00000000', b'03')], sys.argv[1:]))]
sockets = [socket.socket(socket.AF_UNIX) for _ in names]
for each, name in zip(sockets, names): each.bind(name)
print('up', flush=True)
sys.stdin.read()`;
		const forger = startCommand(t, python, ['-c', script, dead, alive]);
		await forger.expect('line');
		t.like((await boundAt(alive))?.holder, {pid: server.pid});
		const lock = await acquire(dead);
		t.true(lock.reclaimed);
		await lock.release();
		await t.throwsAsync(acquire(alive), {code: 'EADDRINUSE'});
		await forger.kill();
	},
);

testUnless(noPython())(
	'a name that looks like a row of ss says nothing of any file, with a newline in it or without',
	async t => {
		const directory = temporaryDirectory(t);
		const dead = join(directory, 'forged');
		await makeStale(dead);
		const {ino} = statusOf(dead);
		const device = mountOfFile(dead)?.device.split(':').map(Number) ?? [];
		const [major = 0, minor = 0] = device;
		// As ss prints it: see deviceOf in socket-files.ts.
		const raw = major * 2 ** 20 + minor;
		const printed = `${(raw >> 8) & 0xfff}/${((raw & 0xff) | ((raw >> 12) & 0xfff00)) >>> 0}`;
		const script = `import os, socket, sys
ino, dev, path = sys.argv[1:]
keep = []
for begin in ['x ', 'x\\nu_str LISTEN 0 1 y ']:
  for own in [True, False]:
    s = socket.socket(socket.AF_UNIX)
    number = os.fstat(s.fileno()).st_ino if own else 987654321
    s.bind('\\0' + f'{begin}{number} * 0 <-> ino:{ino} dev:{dev} {path[-40:]}'[:100])
    keep.append(s)
print('up', flush=True)
sys.stdin.read()`;
		const forger = startCommand(t, python, ['-c', script, String(ino), printed, '/forged']);
		await forger.expect('line');
		t.not((await boundAt(dead))?.isCertain, true);
		const lock = await acquire(dead);
		t.true(lock.reclaimed);
		await lock.release();
	},
);
