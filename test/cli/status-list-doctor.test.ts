/**
 * `bindlock status`, `list`, `wait` and `reclaim`, on real sockets.
 */
import {chmodSync, existsSync, mkdirSync, readdirSync, unlinkSync, writeFileSync} from 'node:fs';
import {createServer, type Server} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {
	lacking,
	noNetworkNamespaces,
	noOtherUser,
	noPython,
	otherUid,
	python,
	testUnless,
} from '../helpers/abilities.js';
import {bindlock, jsonLines, kill, startBindlock, startLasting, statusOf} from '../helpers/command.js';
import {startCommand, temporaryDirectory, until, withDeadline} from '../helpers/programs.js';
import {makeStaleSync, serveNaively, startSocket} from '../helpers/sockets.js';

type Row = Record<string, unknown> & {readonly address: string; readonly state: string};

test('status tells the five states apart, and exits with 75 unless all could be bound', async t => {
	const directory = temporaryDirectory(t);
	const [free = '', stale = '', held = '', foreign = '', blocked = ''] = ['a', 'b', 'c', 'd', 'e'].map(name =>
		join(directory, name),
	);
	makeStaleSync(stale);
	const {pid} = await startLasting(t, [held, '--label', 'blue']);
	serveNaively(t, foreign);
	writeFileSync(blocked, '');
	const fine = await bindlock(['status', free, stale]);
	t.is(fine.status, 0);
	t.regex(fine.stdout, /^free +\S+\/a\nstale +\S+\/b +no process is bound to it/);
	const all = await bindlock(['status', '--json', free, stale, held, foreign, blocked]);
	t.is(all.status, 75);
	t.is(all.stderr, '');
	const rows = jsonLines(all.stdout);
	t.deepEqual(
		rows.map(({state}) => state),
		['free', 'stale', 'held', 'foreign', 'blocked'],
	);
	t.like(rows[2], {holder: {pid, label: 'blue', verified: true}, lockPath: `${held}.lock`});
	t.like(rows[3], {holder: {pid: process.pid}});
	t.like(rows[4], {reason: {code: 'ENOTSOCK'}});
	const text = await bindlock(['status', held, foreign, blocked]);
	t.is(text.status, 75);
	t.regex(text.stdout, new RegExp(`^held .*by pid ${pid} .*label "blue", since .*verified by the kernel$`, 'm'));
	t.regex(text.stdout, /^foreign .*which takes no lock$/m);
	t.regex(text.stdout, /^blocked .*it is a regular file, and stays as it is; remove it or choose another address$/m);
});

test('status of an address that cannot be one is 64', async t => {
	for (const address of ['', `/${'x'.repeat(200)}`, 'unix://relative', '/tmp/']) {
		const {status, stderr} = await bindlock(['status', address]);
		t.is(status, 64, address);
		t.regex(stderr, /^bindlock: Cannot use the address/);
	}
});

test('status --watch prints each change', async t => {
	const address = join(temporaryDirectory(t), 's');
	const watcher = startBindlock(t, ['status', '--watch', '--json', address]);
	const next = async (): Promise<unknown> => (JSON.parse(String((await watcher.next())['line'])) as Row).state;
	t.is(await next(), 'free');
	const {pid} = await startLasting(t, [address]);
	t.is(await next(), 'held');
	kill(pid, 'SIGKILL');
	const states = [await next()];
	// It may have been seen between the start of the command and the record of its pid.
	if (states[0] === 'held') states.push(await next());
	t.is(states.at(-1), 'free');
	watcher.signal('SIGINT');
	t.deepEqual(await withDeadline(watcher.exited), {code: null, signal: 'SIGINT'});
});

test('list shows bound sockets with their locks, and what is left in directories', async t => {
	const directory = temporaryDirectory(t);
	const path = (name: string): string => join(directory, name);
	mkdirSync(path('sub'));
	makeStaleSync(path('sub/stale'));
	serveNaively(t, path('foreign'));
	const {pid} = await startLasting(t, [path('early'), '--label', 'blue']);
	await until(async () => (await statusOf(path('early')))['holder'] !== undefined, 'the record');
	const masked = serveNaively(t, path('masked'));
	unlinkSync(path('masked'));
	serveNaively(t, path('masked'));
	const gone = serveNaively(t, path('gone'));
	unlinkSync(path('gone'));
	const {status, stdout, stderr} = await bindlock(['list', '--json', directory]);
	t.is(status, 0, stderr);
	const rows = (jsonLines(stdout) as Row[]).filter(({address}) => address.startsWith(directory));
	const states = (name: string): string[] => rows.filter(({address}) => address === path(name)).map(({state}) => state);
	t.deepEqual(states('sub/stale'), ['stale']);
	t.deepEqual(states('foreign'), ['foreign']);
	t.deepEqual(states('early'), ['held']);
	// Without ss it cannot be told who made the file.
	const told = lacking('ss') === undefined;
	t.deepEqual(states('masked').sort(), told ? ['foreign', 'masked'] : ['unknown', 'unknown']);
	t.deepEqual(states('gone'), [told ? 'masked' : 'unknown']);
	t.like(
		rows.find(({address}) => address === path('early')),
		{holder: {pid, label: 'blue'}, processes: []},
	);
	t.like(
		rows.find(({address}) => address === path('foreign')),
		{type: 'stream', listening: true},
	);
	const table = await bindlock(['list', directory]);
	t.regex(table.stdout, /^STATE +PID +UID +AGE +LABEL +COMMAND +ADDRESS$/m);
	t.regex(table.stdout, new RegExp(`^held +${pid} +\\d+ +\\d+s +blue +sleep +${path('early')}$`, 'm'));
	t.regex(table.stdout, new RegExp(`^stale +- +- +\\d+s +- +- +${path('sub/stale')}$`, 'm'));
	for (const server of [masked, gone]) server.close();
});

test('list shows a server that bindlock has started, and abstract names with their lock', async t => {
	const directory = temporaryDirectory(t);
	const name = `bindlock-test-${process.pid}-list`;
	await startLasting(t, [`@${name}`, '--label', 'green']);
	serveNaively(t, `\0${name}`);
	serveNaively(t, `\0${name}-foreign`);
	const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('up'))`;
	const served = join(directory, 'served');
	const program = startBindlock(t, ['run', served, '--', process.execPath, '-e', script, served]);
	await program.expect('line');
	const rows = jsonLines((await bindlock(['list', '--json'])).stdout) as Row[];
	const of = (address: string): Row[] => rows.filter(row => row.address === address);
	t.is(of(served).length, 1);
	t.like(of(served)[0], {state: 'held', listening: true, lockPath: `${served}.lock`});
	t.is(of(`@${name}`).length, 1);
	t.like(of(`@${name}`)[0], {state: 'held', holder: {label: 'green'}, processes: [{pid: process.pid}]});
	t.like(of(`@${name}-foreign`)[0], {state: 'foreign'});
	t.is(of(`@${name}.lock`).length, 0, 'told with its name');
	program.signal('SIGTERM');
	await withDeadline(program.exited);
});

/** Binds so many names, each with a lock that never answers, and one whose lock answers with what is no record. */
const mute = `
import socket, sys
count, prefix = int(sys.argv[1]), sys.argv[2]
bound = []
for name in [f'{prefix}-mute{i}' for i in range(count)] + [f'{prefix}-rude']:
    for each in (name, name + '.lock'):
        s = socket.socket(socket.AF_UNIX)
        s.bind(b'\\0' + each.encode().ljust(107, b'\\0'))
        s.listen(5)
        bound.append(s)
print('up', flush=True)
while True:
    client, _ = bound[-1].accept()
    client.send(b'hello')
    client.close()
`;

testUnless(noPython())('list asks 200 locks that do not answer at once, and hears those that do', async t => {
	const prefix = `bindlock-test-${process.pid}-crowd`;
	const program = startCommand(t, python, ['-c', mute, '200', prefix]);
	await program.expect('line');
	const {pid} = await startLasting(t, [`@${prefix}`, '--label', 'green']);
	serveNaively(t, `\0${prefix}`);
	for (const before of [[], ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh']]) {
		const {stdout, stderr} = await bindlock(['list', '--json'], {before});
		t.is(stderr, '');
		const rows = (jsonLines(stdout) as Row[]).filter(({address}) => address.startsWith(`@${prefix}`));
		const mutes = rows.filter(({address}) => address.includes('mute'));
		t.is(mutes.length, 200, 'each with its lock');
		for (const row of mutes) t.like(row, {state: 'held', holder: {pid: program.pid}});
		const of = (address: string): Row | undefined => rows.find(row => row.address === address);
		t.like(of(`@${prefix}`), {state: 'held', holder: {label: 'green'}, processes: [{pid: process.pid}]});
		t.like(of(`@${prefix}-rude`), {state: 'blocked', holder: {pid: program.pid}, reason: {code: 'EADDRINUSE'}});
	}
	kill(pid, 'SIGKILL');
	await program.kill();
});

testUnless(noPython())('list: a datagram socket is not the lock of a name', async t => {
	const name = `bindlock-test-${process.pid}-datagram`;
	const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(b'\\0' + sys.argv[1].encode().ljust(107, b'\\0')); print('up', flush=True); sys.stdin.read()`;
	const program = startCommand(t, python, ['-c', script, `${name}.lock`]);
	await program.expect('line');
	serveNaively(t, `\0${name}`);
	const rows = (jsonLines((await bindlock(['list', '--json'])).stdout) as Row[])
		.filter(({address}) => address.startsWith(`@${name}`))
		.map(({address, state}) => [address, state]);
	t.deepEqual(rows, [
		[`@${name}`, 'foreign'],
		[`@${name}.lock`, 'foreign'],
	]);
	program.end();
});

testUnless(noOtherUser())('list and status work for another user, who sees less', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const server = serveNaively(t, address);
	for (const [mode, state] of [
		[0o755, 'foreign'],
		[0o700, 'unknown'],
	] as const) {
		chmodSync(directory, mode);
		const {status, stdout, stderr} = await bindlock(['list', '--json'], {uid: otherUid});
		t.is(status, 0, stderr);
		t.like(
			(jsonLines(stdout) as Row[]).find(row => row.address === address),
			{state, processes: []},
		);
	}
	server.close();
});

/** Binds the later made of two sockets first, so that the other masks it; renames one; gives one a name of no characters. */
const wayward = `
import os, socket, sys
os.chdir(sys.argv[1])
reachable, masked, renamed, nameless = (socket.socket(socket.AF_UNIX) for _ in range(4))
masked.bind('s')
os.unlink('s')
reachable.bind('s')
renamed.bind('s.tmp')
os.rename('s.tmp', 'renamed')
nameless.bind(b'n\\xff')
for each in reachable, renamed, nameless: each.listen(1)
renamed.shutdown(socket.SHUT_WR)
peer, connected = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
peer.bind('peer')
connected.bind('c')
connected.connect('peer')
os.rename('c', 'connected')
print('up', flush=True)
sys.stdin.read()
`;

testUnless(noPython(), lacking('ss'))(
	'list tells who made a socket file: not the newest socket, and under a new name',
	async t => {
		const directory = temporaryDirectory(t);
		const program = startCommand(t, python, ['-c', wayward, directory]);
		await program.expect('line');
		const rows = (jsonLines((await bindlock(['list', '--json', directory])).stdout) as Row[])
			.filter(({address}) => address.startsWith(directory) || address.startsWith('n'))
			.map(({address, state, listening}) => [address.replace(directory, ''), state, listening]);
		t.deepEqual(rows, [
			['/connected', 'foreign', false],
			['/peer', 'foreign', false],
			['/renamed', 'foreign', true],
			['/s', 'foreign', true],
			['/s', 'masked', false],
			['n\uFFFD', 'foreign', true],
		]);
		program.end();
	},
);

testUnless(noPython())('list bears an abstract name of nothing but NULs', async t => {
	const script = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(bytes(5)); print('up', flush=True); sys.stdin.read()`;
	const program = startCommand(t, python, ['-c', script]);
	await program.expect('line');
	const {status, stdout, stderr} = await bindlock(['list', '--json']);
	t.is(status, 0, stderr);
	t.true((jsonLines(stdout) as Row[]).some(({address, state}) => /^@+$/.test(address) && state === 'foreign'));
	program.end();
});

testUnless(noPython())('list without ss calls nobody masked', async t => {
	const directory = temporaryDirectory(t);
	const program = startCommand(t, python, ['-c', wayward, directory]);
	await program.expect('line');
	const {stdout} = await bindlock(['list', '--json', directory], {env: {PATH: directory}});
	const rows = (jsonLines(stdout) as Row[]).filter(({address}) => address.startsWith(directory));
	t.deepEqual(
		rows.map(({address, state}) => [address.replace(directory, ''), state]),
		[
			['/connected', 'foreign'],
			['/peer', 'foreign'],
			['/renamed', 'foreign'],
			['/s', 'unknown'],
			['/s', 'unknown'],
		],
	);
	program.end();
});

test('list of a directory that is not there is 71', async t => {
	const {status, stderr} = await bindlock(['list', join(temporaryDirectory(t), 'nothing')]);
	t.is(status, 71);
	t.regex(stderr, /^bindlock: ENOENT/);
});

test('wait returns when a server listens, and connects to none', async t => {
	const address = join(temporaryDirectory(t), 's');
	const waiter = startBindlock(t, ['wait', address, '--json', '--timeout', '20s']);
	let connections = 0;
	const server: Server = createServer(() => connections++).listen(address);
	t.teardown(() => server.close());
	const line = JSON.parse(String((await waiter.expect('line'))['line'])) as Record<string, unknown>;
	t.like(line, {address, for: 'listening', reached: true});
	t.is((await withDeadline(waiter.exited)).code, 0);
	t.is(connections, 0);
});

testUnless(noPython())('wait --for listening: a socket that is bound and does not listen is not enough', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startSocket(t, 'bound', address);
	const {status, stderr} = await bindlock(['wait', address, '--timeout', '100ms']);
	t.is(status, 75);
	t.regex(stderr, /not listening after \d+ ms: a server is bound to it and does not listen yet/);
	const datagram = `${address}2`;
	await startSocket(t, 'datagram', datagram);
	t.is((await bindlock(['wait', datagram, '--timeout', '20s'])).status, 0);
});

test('wait: a stale socket is not listening, and is free', async t => {
	const address = join(temporaryDirectory(t), 's');
	makeStaleSync(address);
	t.is((await bindlock(['wait', address, '--timeout', '50ms'])).status, 75);
	t.is((await bindlock(['wait', address, '--for', 'free', '--timeout', '50ms'])).status, 0);
	t.true(existsSync(address));
});

test('wait --for free returns when the holder is gone, and says who it was when the time is up', async t => {
	const address = join(temporaryDirectory(t), 's');
	const {pid} = await startLasting(t, [address]);
	const late = await bindlock(['wait', address, '--for', 'free', '--timeout', '50ms', '--json']);
	t.is(late.status, 75);
	t.like(jsonLines(late.stdout)[0], {reached: false, for: 'free'});
	const waiter = startBindlock(t, ['wait', address, '--for=free']);
	kill(pid, 'SIGKILL');
	t.is((await withDeadline(waiter.exited)).code, 0);
});

test('wait for an abstract name', async t => {
	const name = `bindlock-test-${process.pid}-wait`;
	const waiter = startBindlock(t, ['wait', `@${name}`]);
	serveNaively(t, `\0${name}`);
	t.is((await withDeadline(waiter.exited)).code, 0);
});

testUnless(noNetworkNamespaces(), noPython())('wait asks a server of another network namespace', async t => {
	const address = join(temporaryDirectory(t), 's');
	const script = `import socket,sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); print('up', flush=True); sys.stdin.read()`;
	const server = startCommand(t, python, ['-c', script, address], {before: ['unshare', '--net']});
	await server.expect('line');
	t.is((await bindlock(['wait', address, '--timeout', '20s'])).status, 0);
	server.end();
});

testUnless(
	noOtherUser(),
	noNetworkNamespaces(),
	noPython(),
)("another user's server in another network namespace is not called stale, nor is its removal advised", async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	chmodSync(directory, 0o777);
	const script = `import socket,sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); print('up', flush=True); sys.stdin.read()`;
	const server = startCommand(t, python, ['-c', script, address], {before: ['unshare', '--net']});
	await server.expect('line');
	const seen = async (): Promise<unknown[]> => {
		const {reason} = (await statusOf(address, {uid: otherUid})) as {reason?: {code: string; message: string}};
		const {stdout} = await bindlock(['list', '--json', directory], {uid: otherUid});
		const row = (jsonLines(stdout) as Row[]).find(each => each.address === address);
		return [row?.state, reason?.code, /; no server is bound to it, and/.test(reason?.message ?? '')];
	};
	chmodSync(address, 0o777);
	t.deepEqual(await seen(), ['foreign', undefined, false]);
	chmodSync(address, 0o755);
	t.deepEqual(await seen(), ['blocked', 'EPERM', false]);
	await server.kill();
	t.deepEqual(await seen(), ['blocked', 'EPERM', false], 'it may not be asked');
	chmodSync(address, 0o777);
	t.deepEqual(await seen(), ['stale', 'EPERM', true]);
});

test('wait: wrong command lines are 64', async t => {
	for (const args of [['wait'], ['wait', 'a', 'b'], ['wait', 'a', '--for', 'x'], ['wait', 'a', '--timeout', 'x']]) {
		t.is((await bindlock(args)).status, 64, args.join(' '));
	}
});

test('reclaim removes stale sockets and nothing else', async t => {
	const directory = temporaryDirectory(t);
	const [stale = '', held = '', foreign = '', file = '', nothing = ''] = ['a', 'b', 'c', 'd', 'e'].map(name =>
		join(directory, name),
	);
	makeStaleSync(stale);
	await startLasting(t, [held]);
	const served: Server = serveNaively(t, foreign);
	writeFileSync(file, 'text');
	const {status, stdout} = await bindlock(['reclaim', '--json', stale, held, foreign, file, nothing]);
	t.is(status, 75);
	t.deepEqual(
		jsonLines(stdout).map(({state, removed}) => [state, removed]),
		[
			['free', true],
			['held', false],
			['foreign', false],
			['blocked', false],
			['free', false],
		],
	);
	t.false(existsSync(stale));
	t.false(existsSync(`${stale}.lock`), 'no lock file is left where there was none');
	t.true(served.listening && existsSync(foreign) && existsSync(file));
	makeStaleSync(stale);
	const text = await bindlock(['reclaim', stale]);
	t.deepEqual([text.status, text.stdout, text.stderr], [0, `removed ${stale}\n`, '']);
});

testUnless(noOtherUser())(
	"reclaim leaves another user's socket, and says who may remove it",
	async (t: ExecutionContext) => {
		const address = join(temporaryDirectory(t), 's');
		makeStaleSync(address);
		const {status, stderr} = await bindlock(['reclaim', address], {uid: otherUid});
		t.is(status, 75);
		t.regex(stderr, /was not removed: /);
		t.true(existsSync(address));
	},
);

testUnless(noOtherUser())("reclaim --reclaim-foreign removes another user's dead socket, where it may", async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 'of-another');
	makeStaleSync(address);
	const reclaim = async (mode: number): Promise<unknown[]> => {
		chmodSync(directory, mode);
		const {status, stdout} = await bindlock(['reclaim', '--reclaim-foreign', '--json', address], {uid: otherUid});
		const [{state, removed, reason} = {}] = jsonLines(stdout);
		return [status, state, removed, (reason as {code: string} | undefined)?.code];
	};
	chmodSync(address, 0o755);
	t.deepEqual(await reclaim(0o777), [75, 'blocked', false, 'EACCES'], 'it cannot be asked');
	chmodSync(address, 0o777);
	t.deepEqual(await reclaim(0o1777), [75, 'blocked', false, 'EPERM'], 'the directory is sticky');
	t.true(existsSync(address));
	t.deepEqual(await reclaim(0o777), [0, 'free', true, undefined]);
	t.deepEqual(readdirSync(directory), []);
	serveNaively(t, address);
	chmodSync(address, 0o777);
	t.deepEqual(await reclaim(0o777), [75, 'foreign', false, undefined]);
});
