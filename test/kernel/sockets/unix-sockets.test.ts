/**
 * Tests which rows of /proc/net/unix count as a server.
 */
import {once} from 'node:events';
import {linkSync, readFileSync, renameSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire} from '../../../src/index.js';
import {noPython, python, testUnless} from '../../helpers/abilities.js';
import {makeStale} from '../../helpers/detectors.js';
import {boundAt} from '../../helpers/kernel.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {start, startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {startSocket} from '../../helpers/sockets.js';

checkLeaks();

test.serial('accepted connections have the path of their listener, and do not count once it is closed', async t => {
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

testUnless(noPython())('connections in the backlog have it too, and do not hide the listener', async t => {
	const address = join(temporaryDirectory(t), 'table');
	const program = await startSocket(t, 'full', address);
	t.true(rowsOf(address).filter(row => / 0001 02 +0 /.test(row)).length > 20, 'they are in the table');
	t.like((await boundAt(address))?.holder, {pid: program.pid, verified: true});
});

function rowsOf(path: string): string[] {
	return readFileSync('/proc/net/unix', 'utf8')
		.split('\n')
		.filter(row => row.endsWith(` ${path}`));
}

testUnless(noPython())('a name that ends in ours after a space is another name', async t => {
	const directory = temporaryDirectory(t);
	await makeStale(join(directory, 'end'));
	await startSocket(t, 'bound', 'the end', {cwd: directory});
	t.is(await boundAt(join(directory, 'end')), undefined);
});

testUnless(noPython())(
	'a name that looks like a row of the table hides no socket, and does not keep a dead one from being removed',
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
