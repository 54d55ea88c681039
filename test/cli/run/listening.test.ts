/**
 * Tests `bindlock run --listen`: bindlock holds the lock and the listening socket, and starts the command anew without
 * refusing a client.
 */
import {chmodSync, existsSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {acquire, inspect} from '../../../src/index.js';
import {noOtherUser, noPidNamespaces, noPython, otherUid, python, testUnless} from '../../helpers/abilities.js';
import {bindlock, cli, gone, isAlive, jsonLines, kill, startBindlock, statusOf} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {getText} from '../../helpers/http.js';
import {heard} from '../../helpers/leash.js';
import {registerUrl} from '../../helpers/library.js';
import {descendants, readOrNothing} from '../../helpers/processes.js';
import {notRoot, type Program, type StartOptions, startCommand, temporaryDirectory} from '../../helpers/programs.js';

const server = fileURLToPath(new URL('../../fixtures/server.js', import.meta.url));

/** Starts `run --listen` with the fixture `server`, and waits until that serves. */
async function startListening(
	t: ExecutionContext,
	address: string,
	args: readonly string[] = [],
	options: StartOptions = {},
): Promise<{readonly program: Program; readonly pid: number}> {
	const command = [process.execPath, server, address];
	const program = startBindlock(t, ['run', '--listen', address, ...args, '--', ...command], options);
	const {pid, inherited} = await program.expect('held');
	t.true(inherited);
	return {program, pid: Number(pid)};
}

interface Record {
	readonly pid: number;
	readonly since: string;
	readonly command: string;
	readonly label: string;
	readonly reloads?: {readonly pid: number; readonly begun: number; readonly ended: number; readonly error?: string};
}

function recordAt(address: string): Record {
	// Another program may have removed the file, and it is blank for a moment before a record is written.
	return JSON.parse(readOrNothing(`${address}.lock`).split('\n')[1] || '{}') as Record;
}

/** Each program ends as soon as it is started, in this way, if the file exists. */
function failingIf(path: string, how: string): string {
	return `[ -e ${path} ] && ${how}`;
}

test('the server has the lock and the socket; a second one is refused; SIGTERM ends all and leaves no file', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startListening(t, address, ['--label', 'blue']);
	t.is(await getText(address), String(pid));
	await until(() => recordAt(address).pid === pid, 'the record of the command');
	t.like(await statusOf(address), {state: 'held', holder: {pid, label: 'blue', verified: true}});
	t.like(recordAt(address), {
		command: `${process.execPath} ${server}`,
		reloads: {pid: program.pid, begun: 0, ended: 0},
	});
	await t.throwsAsync(acquire(address), {code: 'EADDRINUSE', message: new RegExp(`held by pid ${pid}`)});
	const second = await bindlock(['run', '--listen', address, '--', 'echo', 'ran']);
	t.like(second, {status: 75, stdout: ''});
	program.signal('SIGTERM');
	await withDeadline(program.exited);
	t.false(existsSync(address));
	t.is(readFileSync(`${address}.lock`, 'utf8'), '');
});

test('a reload: the new process serves, the old one ends, bindlock stays, and the record names the new process', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startListening(t, address, ['--label', 'blue', '--ready-after=50ms']);
	const {since} = recordAt(address);
	t.deepEqual(await bindlock(['reload', address]), {status: 0, signal: null, stdout: '', stderr: ''});
	const {pid: next} = await heard(program, 'held');
	t.is(await getText(address), String(next));
	await gone(pid);
	t.like(recordAt(address), {pid: Number(next), label: 'blue', reloads: {pid: program.pid, begun: 1, ended: 1}});
	t.true(recordAt(address).since > since);
	t.like(await statusOf(address), {state: 'held', holder: {pid: Number(next), label: 'blue', verified: true}});
	program.signal('SIGHUP');
	const {pid: third} = await heard(program, 'held');
	await until(() => recordAt(address).reloads?.ended === 2, 'the second reload');
	t.is(await getText(address), String(third));
	t.regex(program.stderr, new RegExp(`bindlock: process ${third} serves; process ${next} was told to end\n$`));
});

test('the new process fails: the old one serves on, and the status of reload says so', async t => {
	const directory = temporaryDirectory(t);
	const [address, broken] = [join(directory, 's'), join(directory, 'broken')];
	const script = `${failingIf(broken, 'exit 7')}; exec "$@"`;
	const program = startBindlock(t, [
		...['run', '--listen', address, '--', 'sh', '-c', script, 'sh'],
		...[process.execPath, server, address],
	]);
	const {pid} = await program.expect('held');
	writeFileSync(broken, '');
	const {status, stderr} = await bindlock(['reload', address]);
	t.is(status, 1);
	t.regex(stderr, /: the reload failed: process \d+ ended with status 7 before it was ready; process \d+ continues\n$/);
	t.is(await getText(address), String(pid));
	const json = await bindlock(['reload', '--json', address]);
	t.is(json.status, 1);
	t.like(jsonLines(json.stdout)[0], {address, reloaded: false, pid});
	t.like(recordAt(address), {reloads: {begun: 2, ended: 2}});
	unlinkSync(broken);
	t.like(jsonLines((await bindlock(['reload', '--json', address])).stdout)[0], {address, reloaded: true});
	t.is(recordAt(address).reloads?.error, undefined);
});

test('--ready-fd: a newline reports readiness; without it the new process is ended after --start-timeout', async t => {
	const directory = temporaryDirectory(t);
	const [address, silent] = [join(directory, 's'), join(directory, 'silent')];
	const script = `${failingIf(silent, 'exec sleep 300')}; echo >&5; exec "$@"`;
	const program = startBindlock(t, [
		...['run', '--listen', address, '--ready-fd=5', '--start-timeout=200ms', '--', 'sh', '-c', script, 'sh'],
		...[process.execPath, server, address],
	]);
	const {pid} = await program.expect('held');
	t.is((await bindlock(['reload', address])).status, 0);
	await gone(Number(pid));
	writeFileSync(silent, '');
	const {status, stderr} = await bindlock(['reload', address]);
	t.is(status, 1);
	const [, ended = ''] = /process (\d+) was not ready within 200 ms/.exec(stderr) ?? [];
	t.false(isAlive(Number(ended)));
	t.is(descendants(program.pid).length, 1);
});

test('bindlock is killed: the command continues with lock and socket, and after it the next one takes over', async t => {
	const address = join(temporaryDirectory(t), 's');
	// The standard input of `startListening` ends with bindlock.
	const script = `
		require('node:http').createServer((_, response) => response.end(String(process.pid))).listen({fd: 3});
		setTimeout(process.exit, 300_000);
		console.log(process.pid);`;
	const program = startBindlock(t, ['run', '--listen', address, '--', process.execPath, '-e', script]);
	const pid = Number((await program.expect('line'))['line']);
	t.teardown(() => kill(pid, 'SIGKILL'));
	program.signal('SIGKILL');
	await gone(program.pid);
	t.is(await getText(address), String(pid));
	t.like(await statusOf(address), {state: 'held', holder: {pid, verified: true}});
	t.is((await bindlock(['reload', address])).status, 69);
	kill(pid, 'SIGKILL');
	// The first thread of a process is a zombie before the last one closes the descriptors.
	await until(async () => (await inspect(address)).state === 'stale', 'the end of the command');
	const {pid: next} = await startListening(t, address);
	t.is(await getText(address), String(next));
});

test('the command crashes: bindlock ends like it, and leaves nothing', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startListening(t, address);
	kill(pid, 'SIGKILL');
	t.deepEqual(await withDeadline(program.exited), {code: null, signal: 'SIGKILL'});
	t.false(existsSync(address));
	t.like(await inspect(address), {state: 'free'});
});

test('several addresses, one abstract; bindlock/register finds them', async t => {
	const address = join(temporaryDirectory(t), 's');
	const name = `bindlock-test-${process.pid}`;
	const script = `
		const {createServer} = require('node:http');
		let left = 2;
		for (const path of [${JSON.stringify(address)}, ${JSON.stringify(`\0${name}`)}]) {
			createServer((_, response) => response.end(process.env.LISTEN_FDNAMES)).listen({path}, () => {
				if (--left === 0) console.log('{"event":"both"}');
			});
		}
		process.stdin.on('end', () => process.exit()).resume();`;
	const program = startBindlock(t, [
		...['run', '--listen', address, '--listen', `@${name}`, '--label=blue', '--ready-after=0'],
		...['--', process.execPath, '--import', registerUrl, '-e', script],
	]);
	await program.expect('both');
	t.deepEqual([await getText(address), await getText(`\0${name}`)], [`s:${name}`, `s:${name}`]);
	const [pid = 0] = descendants(program.pid);
	t.like(await statusOf(`@${name}`), {state: 'held', holder: {pid, label: 'blue', verified: true}});
	t.is((await bindlock(['reload', `@${name}`])).status, 0);
	await program.expect('both');
	const [next = 0] = descendants(program.pid).filter(each => each !== pid);
	t.like(await statusOf(`@${name}`), {holder: {pid: next, label: 'blue', verified: true}});
});

test('a removed socket file: bound again, and the command is started anew with it', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startListening(t, address, ['--ready-after=0']);
	unlinkSync(address);
	await heard(program, 'held');
	await until(() => existsSync(address) && recordAt(address).reloads?.ended === 1, 'the reload');
	t.not(await getText(address), String(pid));
	await gone(pid);
	for (const path of [address, `${address}.lock`]) unlinkSync(path);
	await until(() => existsSync(address) && Number(recordAt(address).reloads?.ended) >= 2, 'the second reload');
	await getText(address);
	t.like(await statusOf(address), {state: 'held', holder: {verified: true}});
	t.is((await bindlock(['run', address, '--', 'true'])).status, 75);
});

test('the command ends while a removed socket is bound again: no file is left', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startListening(t, address);
	unlinkSync(address);
	await until(() => existsSync(address), 'the new file');
	kill(pid, 'SIGKILL');
	await withDeadline(program.exited);
	t.false(existsSync(address));
});

test('--mode', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startListening(t, address, ['--mode', '0620']);
	t.is(statSync(address).mode & 0o777, 0o620);
});

testUnless(notRoot)('--owner by number and --group by name', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startListening(t, address, ['--mode', '0660', '--owner', String(otherUid), '--group', 'daemon']);
	const {mode, uid, gid} = statSync(address);
	const {stdout} = await bindlock(['run', `${address}2`, '--', 'getent', 'group', 'daemon']);
	t.deepEqual([mode & 0o777, uid, gid], [0o660, otherUid, Number(stdout.split(':')[2])]);
});

testUnless(noOtherUser())('another user may not give the socket away, and nothing is left', async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o777);
	const address = join(directory, 's');
	const {status, stderr} = await bindlock(['run', '--listen', address, '--owner', '0', '--', 'true'], {uid: otherUid});
	t.is(status, 71);
	t.regex(stderr, /^bindlock: Cannot set the owner of the socket/);
	t.false(existsSync(address));
	t.is((await bindlock(['reload', address])).status, 69);
});

test('an address that is taken: by a server without a lock, by another file', async t => {
	const directory = temporaryDirectory(t);
	const [first, taken, file] = ['first', 'taken', 'file'].map(name => join(directory, name)) as [
		string,
		string,
		string,
	];
	const foreign = createServer().listen(taken);
	t.teardown(() => foreign.close());
	await until(() => foreign.listening, 'the foreign server');
	writeFileSync(file, 'precious');
	for (const [address, status] of [
		[taken, 75],
		[file, 71],
	] as const) {
		const outcome = await bindlock(['run', '--listen', first, '--listen', address, '--', 'echo', 'ran']);
		t.like(outcome, {status, stdout: ''}, outcome.stderr);
	}
	t.false(existsSync(first));
	t.is(readFileSync(file, 'utf8'), 'precious');
	t.true(existsSync(taken));
});

test('reload of an address that no run --listen holds: free, held by acquire, held by run', async t => {
	const address = join(temporaryDirectory(t), 's');
	const refused = async (): Promise<void> => {
		const {status, stderr} = await bindlock(['reload', address]);
		t.is(status, 69);
		t.regex(stderr, /no bindlock run --listen holds this address/);
	};
	await refused();
	const lock = await acquire(address);
	await refused();
	await lock.release();
	const program = startBindlock(t, ['run', address, '--', 'sh', '-c', 'echo up; exec cat']);
	await program.expect('line');
	await refused();
	t.true(isAlive(program.pid), 'SIGHUP would have ended it');
});

test('a forged record makes reload signal nobody', async t => {
	const address = join(temporaryDirectory(t), 's');
	const victim = startCommand(t, 'sh', ['-c', 'echo up; exec cat']);
	await victim.expect('line');
	const reloads = {pid: victim.pid, begun: 0, ended: 0};
	writeFileSync(`${address}.lock`, `${victim.pid}\n${JSON.stringify({bindlock: 1, pid: victim.pid, reloads})}\n`);
	t.is((await bindlock(['reload', address])).status, 69);
	t.true(isAlive(victim.pid));
});

testUnless(noOtherUser())('another user may not reload', async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o777);
	const address = join(directory, 's');
	await startListening(t, address, ['--lock-file-mode=0666']);
	const {status, stderr} = await bindlock(['reload', address], {uid: otherUid});
	t.is(status, 71);
	t.regex(stderr, /this user may not signal process/);
});

testUnless(noPython())('a server in Python: the socket blocks, and LISTEN_PID is its own', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `
import os, socket
listener = socket.socket(fileno=3)
assert os.get_blocking(3)
print('{"event":"up"}', flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(b'yes' if os.environ['LISTEN_PID'] == str(os.getpid()) else b'no')
    client.close()`;
	const program = startBindlock(t, ['run', '--listen', address, '--', python, '-c', script]);
	await program.expect('up');
	const client = startCommand(t, python, [
		'-c',
		`import socket; c = socket.socket(socket.AF_UNIX); c.connect(${JSON.stringify(address)}); print(c.recv(9).decode())`,
	]);
	t.like(await client.next(), {line: 'yes'});
	program.signal('SIGTERM');
	await withDeadline(program.exited);
});

testUnless(noPidNamespaces())('as process 1: reloads, and ends on SIGTERM with 128+n', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	mkdirSync(join(directory, 'none'));
	const program = startCommand(
		t,
		process.execPath,
		[cli, 'run', '--listen', address, '--ready-after=0', '--', process.execPath, server, address],
		{before: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']},
	);
	await program.expect('held');
	const [first = 0] = descendants(program.pid);
	process.kill(first, 'SIGHUP');
	await heard(program, 'held');
	process.kill(first, 'SIGTERM');
	t.is((await withDeadline(program.exited)).code, 0);
	t.false(existsSync(address));
});
