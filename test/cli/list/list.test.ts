/**
 * Tests `bindlock list` on real sockets.
 */
import {chmodSync, mkdirSync, unlinkSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {lacking, noOtherUser, noPython, otherUid, python, testUnless} from '../../helpers/abilities.js';
import {bindlock, jsonLines, kill, startBindlock, startLasting, statusOf} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {makeStaleSync, serveNaively} from '../../helpers/sockets.js';

type Row = Record<string, unknown> & {readonly address: string; readonly state: string};

test('list shows bound sockets with their locks, and stale sockets in directories', async t => {
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
	// Without ss the socket of a file is unknown.
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
	t.is(of(`@${name}.lock`).length, 0, 'it is shown with its name only');
	program.signal('SIGTERM');
	await withDeadline(program.exited);
});

/** Binds many names with locks that never answer, and one whose lock answers with an invalid record. */
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

testUnless(noPython())('list asks 200 silent locks at the same time, and reads the answers of others', async t => {
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

/** Binds a newer socket before an older one, which masks it; renames a socket; binds a name that is not valid UTF-8. */
const unusual = `
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
	'list finds the socket of a file that an older socket created, and of a renamed file',
	async t => {
		const directory = temporaryDirectory(t);
		const program = startCommand(t, python, ['-c', unusual, directory]);
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

testUnless(noPython())('list shows an abstract name that consists of NULs', async t => {
	const script = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(bytes(5)); print('up', flush=True); sys.stdin.read()`;
	const program = startCommand(t, python, ['-c', script]);
	await program.expect('line');
	const {status, stdout, stderr} = await bindlock(['list', '--json']);
	t.is(status, 0, stderr);
	t.true((jsonLines(stdout) as Row[]).some(({address, state}) => /^@+$/.test(address) && state === 'foreign'));
	program.end();
});

testUnless(noPython())('list without ss reports no socket as masked', async t => {
	const directory = temporaryDirectory(t);
	const program = startCommand(t, python, ['-c', unusual, directory]);
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

test('list of a directory that does not exist exits with 71', async t => {
	const {status, stderr} = await bindlock(['list', join(temporaryDirectory(t), 'nothing')]);
	t.is(status, 71);
	t.regex(stderr, /^bindlock: ENOENT/);
});
