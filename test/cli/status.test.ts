/**
 * Tests `bindlock status` on real sockets.
 */
import {chmodSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {noNetworkNamespaces, noOtherUser, noPython, otherUid, python, testUnless} from '../helpers/abilities.js';
import {bindlock, jsonLines, kill, startBindlock, startLasting, statusOf} from '../helpers/command.js';
import {withDeadline} from '../helpers/deadlines.js';
import {startCommand, temporaryDirectory} from '../helpers/programs.js';
import {makeStaleSync, serveNaively} from '../helpers/sockets.js';

type Row = Record<string, unknown> & {readonly address: string; readonly state: string};

test('status prints each of the five states, and exits with 75 unless every address can be bound', async t => {
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
	t.regex(text.stdout, /^blocked .*it is a regular file and is left unchanged; remove it or choose another address$/m);
});

test('status of an invalid address exits with 64', async t => {
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
	// The first state may be read between the start of the command and the record of its pid.
	if (states[0] === 'held') states.push(await next());
	t.is(states.at(-1), 'free');
	watcher.signal('SIGINT');
	t.deepEqual(await withDeadline(watcher.exited), {code: null, signal: 'SIGINT'});
});

testUnless(
	noOtherUser(),
	noNetworkNamespaces(),
	noPython(),
)(
	"another user's server in another network namespace is not reported as stale, and its removal is not advised",
	async t => {
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
	},
);
