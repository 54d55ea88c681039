/**
 * Tests `bindlock run`: the command holds the lock for its lifetime, even after the death of bindlock.
 */
import {chmodSync, existsSync, readFileSync, readlinkSync, statSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {noAddon, noMounts, noOtherUser, otherUid, testUnless} from '../../helpers/abilities.js';
import {
	bindlock,
	cli,
	gone,
	isAlive,
	kill,
	runToEnd,
	startBindlock,
	startLasting,
	statusOf,
} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {temporaryDirectory} from '../../helpers/programs.js';
import {makeStaleSync} from '../../helpers/sockets.js';

test('the command holds the lock, and the record names it', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {pid} = await startLasting(t, [address, '--label', 'blue']);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	const record = JSON.parse(readFileSync(`${address}.lock`, 'utf8').split('\n')[1] ?? '') as {pid: number; fd: number};
	t.is(record.pid, pid);
	t.is(readlinkSync(`/proc/${pid}/fd/${record.fd}`), `${address}.lock`);
	t.true(record.fd > 9 && record.fd < 16, 'out of the reach of shell scripts, but not of the care of Node');
	const {state, holder} = (await statusOf(address)) as {state: string; holder: Record<string, unknown>};
	t.is(state, 'held');
	t.like(holder, {pid, label: 'blue', verified: true});
	t.is(holder['command'], 'sleep');
});

test('a second server is refused with 75 and a message that names the holder', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {pid} = await startLasting(t, [address]);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	const {status, stdout, stderr} = await bindlock(['run', address, '--', 'echo', 'ran']);
	t.is(status, 75);
	t.is(stdout, '');
	t.regex(stderr, new RegExp(`^bindlock: listen EADDRINUSE: .*held by pid ${pid} \\(sleep\\)`));
	const json = await bindlock(['run', '--json', address, '--', 'echo', 'ran']);
	t.like(JSON.parse(json.stderr), {error: {code: 'EADDRINUSE', exit: 75, holder: {pid}}});
});

test('after kill -9 of bindlock the command still holds the lock; after kill -9 of the command the lock is free', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startLasting(t, [address]);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	program.signal('SIGKILL');
	await gone(program.pid);
	t.true(isAlive(pid));
	t.like(await statusOf(address), {state: 'held', holder: {pid, verified: true}});
	t.is((await bindlock(['run', address, '--', 'true'])).status, 75);
	kill(pid, 'SIGKILL');
	await gone(pid);
	t.is((await bindlock(['run', address, '--', 'true'])).status, 0);
});

test('bindlock exits after the command, with its status', async t => {
	const address = join(temporaryDirectory(t), 's');
	t.is((await bindlock(['run', address, '--', 'sh', '-c', 'exit 42'])).status, 42);
	const {program, pid} = await startLasting(t, [address]);
	kill(pid, 'SIGKILL');
	t.deepEqual(await withDeadline(program.exited), {code: null, signal: 'SIGKILL'});
	t.like(await statusOf(address), {state: 'free'});
	t.is(readFileSync(`${address}.lock`, 'utf8'), '', 'nor does any record say otherwise');
});

test('a background process of the command keeps the lock, as a daemon does', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {stdout, status} = await bindlock(['run', address, '--', 'sh', '-c', 'sleep 300 >/dev/null 2>&1 & echo $!']);
	const pid = Number(stdout);
	t.teardown(() => kill(pid, 'SIGKILL'));
	t.is(status, 0);
	t.like(await statusOf(address), {state: 'held', holder: {pid, verified: true}});
	t.not(readFileSync(`${address}.lock`, 'utf8'), '');
	kill(pid, 'SIGKILL');
	await gone(pid);
	t.like(await statusOf(address), {state: 'free'});
});

test('a Node server does not pass the lock on to its children', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `const {spawn} = require('node:child_process');
const child = spawn('sleep', ['300'], {detached: true, stdio: 'ignore'});
child.unref();
console.log(child.pid);`;
	const {stdout, status} = await bindlock(['run', address, '--', process.execPath, '-e', script]);
	t.is(status, 0);
	t.teardown(() => kill(Number(stdout), 'SIGKILL'));
	t.true(isAlive(Number(stdout)));
	t.like(await statusOf(address), {state: 'free'});
});

test('a stale socket is removed, a served socket is not', async t => {
	const address = join(temporaryDirectory(t), 's');
	makeStaleSync(address);
	const {status} = await bindlock(['run', address, '--', 'test', '!', '-e', address]);
	t.is(status, 0);
	const server = createServer().listen(address);
	t.teardown(() => server.close());
	const refused = await bindlock(['run', address, '--', 'true']);
	t.is(refused.status, 75);
	t.regex(refused.stderr, /bound without a lock by pid/);
	t.true(existsSync(address));
});

testUnless(noOtherUser())('--lock-file-mode and --reclaim-foreign between two users', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	chmodSync(directory, 0o777);
	const mode = ['--lock-file-mode', '0666'];
	t.is((await bindlock(['run', address, ...mode, '--', 'true'])).status, 0);
	t.is(statSync(`${address}.lock`).mode & 0o777, 0o666);
	makeStaleSync(address);
	chmodSync(address, 0o777);
	const refused = await bindlock(['run', address, ...mode, '--', 'true'], {uid: otherUid});
	t.is(refused.status, 71);
	t.regex(refused.stderr, /--reclaim-foreign/);
	t.true(existsSync(address));
	const command = ['--reclaim-foreign', '--', 'test', '!', '-e', address];
	t.is((await bindlock(['run', address, ...mode, ...command], {uid: otherUid})).status, 0);
});

test('options after the command belong to the command, with or without a double dash', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const args of [
		[address, '--', 'echo', '--label', '--', '--wait'],
		[address, '--label', 'x', '--', 'echo', '--label', '--', '--wait'],
		['--label=x', address, 'echo', '--label', '--', '--wait'],
		['--wait', address, 'echo', '--label', '--', '--wait'],
		[address, '--wait', '--replace', '--', 'echo', '--label', '--', '--wait'],
		['--', address, 'echo', '--label', '--', '--wait'],
	]) {
		const {status, stdout} = await bindlock(['run', ...args]);
		t.is(status, 0, args.join(' '));
		t.is(stdout, '--label -- --wait\n');
	}
});

test('--wait takes over when the holder dies, and names the holder', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {pid} = await startLasting(t, [address]);
	const waiter = startBindlock(t, ['run', address, '--wait', '--', 'echo', 'mine']);
	await until(() => waiter.stderr.includes('waiting for'), 'the message of the waiter');
	t.regex(waiter.stderr, new RegExp(`held by pid ${pid}`));
	kill(pid, 'SIGKILL');
	t.like(await waiter.expect('line'), {line: 'mine'});
	t.like(await withDeadline(waiter.exited), {code: 0});
});

test('--wait=100ms exits with 75 after the timeout', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startLasting(t, [address]);
	for (const wait of [['--wait=100ms'], ['--timeout', '100ms'], ['--timeout=0.1'], ['-w', '0.1']]) {
		const {status, stderr} = await bindlock(['run', address, ...wait, '--', 'true']);
		t.is(status, 75);
		t.regex(stderr, /waited \d+ ms/);
	}
});

test('an interrupted wait ends by the signal, and leaves no files behind', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {pid} = await startLasting(t, [address]);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	const waiter = startBindlock(t, ['run', address, '--wait', '--', 'true']);
	await until(() => waiter.stderr.includes('waiting for'), 'the message of the waiter');
	waiter.signal('SIGINT');
	t.deepEqual(await withDeadline(waiter.exited), {code: null, signal: 'SIGINT'});
	t.like(await statusOf(address), {state: 'held', holder: {pid}});
});

test('--replace sends the holder a signal and takes over', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startLasting(t, [address]);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	t.is((await bindlock(['run', address, '--replace=int', '--wait=20s', '--', 'true'])).status, 0);
	t.like(await withDeadline(program.exited), {signal: 'SIGINT'});
});

test('--close-fd: bindlock holds the lock, the command has no descriptor', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startLasting(t, [address, '--close-fd']);
	t.like(await statusOf(address), {state: 'held', holder: {pid: program.pid, verified: true}});
	program.signal('SIGKILL');
	await gone(program.pid);
	t.true(isAlive(pid));
	t.like(await statusOf(address), {state: 'free'});
	kill(pid, 'SIGKILL');
	const {status} = await bindlock(['run', address, '--close-fd', '--', 'sh', '-c', 'exit 3']);
	t.is(status, 3);
	t.is(readFileSync(`${address}.lock`, 'utf8'), '', 'the record is empty');
});

test('bindlock warns if the command closes the descriptor', async t => {
	const address = join(temporaryDirectory(t), 's');
	// The shell starts no process here, because bindlock checks after one second.
	const closing = 'for fd in 10 11 12 13 14 15; do eval "exec $fd>&-"; done; echo $$; exec sleep 300';
	const program = startBindlock(t, ['run', address, '--', 'bash', '-c', closing]);
	const pid = Number((await program.expect('line'))['line']);
	t.teardown(() => kill(pid, 'SIGKILL'));
	await until(() => program.stderr.includes('use --close-fd'), 'the warning');
	t.like(await statusOf(address), {state: 'free'});
});

test('bindlock does not warn about the descriptor of a command that has just ended', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {program, pid} = await startLasting(t, [address]);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	// bindlock is stopped during both events, so it makes its check before it handles the end of the command.
	program.signal('SIGSTOP');
	await until(() => /^State:\s+T/m.test(readFileSync(`/proc/${program.pid}/status`, 'utf8')), 'the stop of bindlock');
	const due = performance.now() + 1100;
	kill(pid, 'SIGKILL');
	await gone(pid);
	await until(() => performance.now() > due, 'the time at which it looks');
	program.signal('SIGCONT');
	t.deepEqual(await withDeadline(program.exited), {code: null, signal: 'SIGKILL'});
	t.is(program.stderr, '');
});

testUnless(noMounts())('bindlock does not warn without /proc, where it cannot check', async t => {
	const address = join(temporaryDirectory(t), 's');
	const before = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', '-'];
	const {program, pid} = await startLasting(t, [address], {before});
	const due = performance.now() + 1500;
	await until(() => performance.now() > due, 'the time at which it looks');
	kill(pid, 'SIGKILL');
	t.deepEqual(await withDeadline(program.exited), {code: null, signal: 'SIGKILL'});
	t.is(program.stderr, '');
});

test('an abstract name: the command inherits the lock, and bindlock answers for it until the command ends', async t => {
	const address = `@bindlock-test-${process.pid}-run`;
	const {program, pid} = await startLasting(t, [address, '--label', 'green']);
	t.like(await statusOf(address), {state: 'held', holder: {label: 'green', verified: true}});
	t.is((await bindlock(['run', address, '--', 'true'])).status, 75);
	program.signal('SIGKILL');
	await gone(program.pid);
	t.like(await statusOf(address), {state: 'held', holder: {pid, verified: true}});
	kill(pid, 'SIGKILL');
	await gone(pid);
	t.is((await bindlock(['run', address, '--', 'true'])).status, 0);
});

test('@name is abstract, ./@name is a path', async t => {
	const directory = temporaryDirectory(t);
	t.is((await bindlock(['run', './@x', '--', 'true'], {cwd: directory})).status, 0);
	t.true(existsSync(join(directory, '@x.lock')));
	t.is((await bindlock(['run', `@bindlock-test-${process.pid}-at`, '--', 'true'], {cwd: directory})).status, 0);
	t.false(existsSync(join(directory, `@bindlock-test-${process.pid}-at.lock`)));
});

test('a closed standard output or standard error does not end bindlock', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const closing of ['>&-', '2>&-', '<&-', '>&- 2>&- <&-']) {
		const script = `"$0" "$1" run "$2" -- sh -c 'exit 7' ${closing}`;
		t.is((await runToEnd('sh', ['-c', script, process.execPath, cli, address])).status, 7, closing);
		const refused = `"$0" "$1" run "$2" -- no-such-command ${closing}`;
		t.is((await runToEnd('sh', ['-c', refused, process.execPath, cli, address])).status, 127, closing);
	}
});

testUnless(noAddon())('with both implementations of flock', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const way of ['addon', 'command']) {
		const {pid} = await startLasting(t, [address], {env: {BINDLOCK_FLOCK: way}});
		t.is((await bindlock(['run', address, '--', 'true'], {env: {BINDLOCK_FLOCK: way}})).status, 75);
		kill(pid, 'SIGKILL');
		await gone(pid);
		t.is((await bindlock(['run', address, '--', 'true'], {env: {BINDLOCK_FLOCK: way}})).status, 0);
	}
});
