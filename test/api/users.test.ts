/**
 * Tests servers of two users at one address.
 */
import {chmodSync, chownSync, renameSync, statSync} from 'node:fs';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {noNetworkNamespaces, noOtherUser, noPython, otherUid, python, testUnless} from '../helpers/abilities.js';
import {until} from '../helpers/deadlines.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {type Program, start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {contentOf} from '../helpers/tree.js';

checkLeaks();

const maybe = testUnless(noOtherUser());

/** Not `s`: another test's relative `s`, whose process these users cannot inspect, could be taken for it. */
const name = 'users';

const first = otherUid;
const second = otherUid + 1;
const group = otherUid + 2;

const shared = {lockFileMode: 0o666, socketMode: 0o777, reclaimForeign: true};

function directoryOf(t: ExecutionContext, mode: number): string {
	const directory = temporaryDirectory(t);
	chmodSync(directory, mode);
	return directory;
}

function serve(t: ExecutionContext, uid: number, address: string, options: object, umask = '022'): Program {
	const before = ['sh', '-c', `umask ${umask} && exec "$@"`, 'sh'];
	return start(t, 'holder', ['listen', address, JSON.stringify(options)], {uid, before});
}

/** Leaves the files of a crashed server of the first user, with a socket of this mode. */
async function crashed(t: ExecutionContext, address: string, mode = 0o777): Promise<void> {
	const server = serve(t, first, address, {...shared, socketMode: mode});
	await server.expect('held');
	await server.kill();
}

for (const umask of ['022', '000', '077']) {
	maybe(`umask ${umask}: two users take an address in turn, and refuse each other`, async t => {
		const address = join(directoryOf(t, 0o1777), name);
		for (const [uid, other] of [
			[first, second],
			[second, first],
			[first, second],
		] as const) {
			const server = serve(t, uid, address, shared, umask);
			await server.expect('held');
			t.is(statSync(`${address}.lock`).mode & 0o777, 0o666);
			t.like(await serve(t, other, address, shared, umask).expect('refused'), {code: 'EADDRINUSE'});
			server.send('release');
			await server.expect('released');
		}
	});

	maybe(`umask ${umask}: after a crash the other user reclaims the address if the directory allows it`, async t => {
		const address = join(directoryOf(t, 0o777), name);
		for (const [round, uid] of [first, second, first, first].entries()) {
			const server = serve(t, uid, address, shared, umask);
			t.is((await server.expect('held'))['reclaimed'], round > 0);
			await server.kill();
		}
	});
}

maybe('in a sticky directory the other user gets EPERM, and the owner of the socket reclaims it', async t => {
	const directory = directoryOf(t, 0o1777);
	const address = join(directory, name);
	await crashed(t, address);
	const before = contentOf(directory);
	const refused = await serve(t, second, address, shared).expect('refused');
	t.like(refused, {code: 'EPERM', syscall: 'unlink', ours: true});
	t.regex(String(refused['message']), new RegExp(`belongs to uid ${first} .* is uid ${second}; .*sticky`));
	t.deepEqual(contentOf(directory), before);
	t.like(await serve(t, first, address, shared).expect('held'), {reclaimed: true});
});

maybe('a user without write permission for the directory gets EACCES', async t => {
	const directory = directoryOf(t, 0o777);
	const address = join(directory, name);
	await crashed(t, address);
	chmodSync(directory, 0o755);
	const refused = await serve(t, second, address, shared).expect('refused');
	t.like(refused, {code: 'EACCES', syscall: 'unlink', ours: true});
	t.regex(String(refused['message']), /may not remove files from its directory/);
});

maybe('without reclaimForeign the socket of another user stays, and the message names the option', async t => {
	const directory = directoryOf(t, 0o777);
	const address = join(directory, name);
	await crashed(t, address);
	const before = contentOf(directory);
	for (const options of [
		{...shared, reclaimForeign: undefined},
		{...shared, reclaimForeign: false},
	]) {
		const refused = await serve(t, second, address, options).expect('refused');
		t.like(refused, {code: 'EPERM', syscall: 'unlink', ours: true});
		t.regex(String(refused['message']), /reclaimForeign: true/);
	}
	t.deepEqual(contentOf(directory), before);
});

maybe('a socket without permission to connect is not assumed dead, and stays', async t => {
	const directory = directoryOf(t, 0o777);
	const address = join(directory, name);
	await crashed(t, address, 0o755);
	const before = contentOf(directory);
	const refused = await serve(t, second, address, shared).expect('refused');
	t.like(refused, {code: 'EACCES', syscall: 'connect', ours: true});
	t.regex(String(refused['message']), new RegExp(`belongs to uid ${first} .*socketMode: 0o777`));
	t.deepEqual(contentOf(directory), before);
});

maybe('a live foreign server of another user is not reclaimed', async t => {
	const address = join(directoryOf(t, 0o777), name);
	const naive = start(t, 'naive', [address], {uid: first});
	await naive.expect('listening');
	const {ino} = statSync(address);
	for (const mode of [0o777, 0o755]) {
		chmodSync(address, mode);
		const refused = await serve(t, second, address, shared).expect('refused');
		t.true(['EADDRINUSE', 'EACCES'].includes(String(refused['code'])), String(refused['message']));
		t.is(statSync(address).ino, ino);
	}
});

testUnless(
	noOtherUser(),
	noNetworkNamespaces(),
	noPython(),
)('a foreign server in another network namespace is not reclaimed, with or without permission to connect', async t => {
	const address = join(directoryOf(t, 0o777), name);
	const script = `import socket,sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); print('up', flush=True); sys.stdin.read()`;
	const server = startCommand(t, python, ['-c', script, address], {before: ['unshare', '--net'], uid: first});
	await server.expect('line');
	for (const [mode, code] of [
		[0o777, 'EADDRINUSE'],
		[0o755, 'EACCES'],
	] as const) {
		chmodSync(address, mode);
		const {ino} = statSync(address);
		t.like(await serve(t, second, address, shared).expect('refused'), {code});
		t.is(statSync(address).ino, ino);
	}
});

maybe('a running server heals over a dead socket of another user', async t => {
	const directory = directoryOf(t, 0o777);
	const address = join(directory, name);
	const server = serve(t, second, address, shared);
	await server.expect('held');
	await makeStale(join(directory, 'dead'));
	chmodSync(join(directory, 'dead'), 0o777);
	chownSync(join(directory, 'dead'), first, first);
	renameSync(join(directory, 'dead'), address);
	await until(async () => (await reach(address)) === server.pid, 'the healed server answers');
	t.is(statSync(address).uid, second);
});

maybe('with reclaimForeign a lease reclaims the socket of another user', async t => {
	const address = join(directoryOf(t, 0o777), name);
	await makeStale(address);
	chmodSync(address, 0o777);
	chownSync(address, first, first);
	const lease = {backend: 'lease'};
	t.like(await serve(t, second, address, lease).expect('refused'), {code: 'EPERM'});
	const server = serve(t, second, address, {...lease, reclaimForeign: true});
	t.like(await server.expect('held'), {reclaimed: true});
	server.send('release');
	await server.expect('released');
});

maybe('the users of a group share a directory of the group', async t => {
	const directory = directoryOf(t, 0o2770);
	chownSync(directory, 0, group);
	chmodSync(directory, 0o2770);
	const address = join(directory, name);
	const options = JSON.stringify({lockFileMode: 0o660, socketMode: 0o770, reclaimForeign: true});
	for (const [round, uid] of [first, second, first].entries()) {
		const before = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, `--groups=${group}`];
		const server = start(t, 'holder', ['listen', address, options], {before});
		t.is((await server.expect('held'))['reclaimed'], round > 0);
		t.like(statSync(`${address}.lock`), {mode: 0o100660, gid: group});
		await server.kill();
	}
});
