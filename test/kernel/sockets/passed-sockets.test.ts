/**
 * Tests servers that are started with their socket (LISTEN_FDS), as by a `.socket` unit of systemd.
 */
import {existsSync, symlinkSync, unlinkSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import {acquire, inspect} from '../../../src/index.js';
import {lacking, noPython, testUnless} from '../../helpers/abilities.js';
import {activate} from '../../helpers/activator.js';
import {cli} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {getText} from '../../helpers/http.js';
import {registerUrl} from '../../helpers/library.js';
import {startCommand, temporaryDirectory} from '../../helpers/programs.js';

const server = fileURLToPath(new URL('../../fixtures/server.js', import.meta.url));
const test = testUnless(noPython());

function serving(address: string, options: object = {}): string[] {
	return [process.execPath, server, address, JSON.stringify(options)];
}

test('a server listens on the socket, holds the lock, and leaves the file', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = activate(t, [address], serving(address));
	const {pid, inherited} = await program.expect('held');
	t.true(inherited);
	t.is(await getText(address), String(pid));
	t.like(await inspect(address), {state: 'held', holder: {pid, verified: true}});
	await t.throwsAsync(acquire(address), {code: 'EADDRINUSE', message: new RegExp(`held by pid ${pid}`)});
	process.kill(Number(pid), 'SIGTERM');
	await withDeadline(program.exited);
	t.true(existsSync(address));
});

test('no client is refused while the server is killed and started again', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = activate(t, [address], serving(address));
	const {pid} = await program.expect('held');
	process.kill(Number(pid), 'SIGKILL');
	const answers = Promise.all(Array.from({length: 5}, () => getText(address)));
	const {pid: next, inherited} = await program.expect('held');
	t.true(inherited);
	t.deepEqual([...new Set(await withDeadline(answers))], [String(next)]);
});

test('the socket is found by its address, not by its position or the spelling of its path', async t => {
	const directory = temporaryDirectory(t);
	const link = join(temporaryDirectory(t), 'link');
	symlinkSync(directory, link);
	const names = ['a', 'b', 'c'].map(name => join(directory, name));
	const program = activate(t, names, serving(join(link, 'b')));
	const {pid, inherited} = await program.expect('held');
	t.true(inherited);
	t.is(await getText(join(directory, 'b')), String(pid));
});

test('an abstract name', async t => {
	const name = `bindlock-test-${process.pid}-passed`;
	const program = activate(t, [`@${name}`], serving(`unix:@${name}`));
	const {pid, inherited} = await program.expect('held');
	t.true(inherited);
	// No client connects: a client on Node 20 uses the padded name, and a service manager binds the exact one.
	t.like(await inspect(`\0${name}`), {state: 'held', found: 'socket', holder: {pid}});
});

test('an address without a socket is bound as usual', async t => {
	const directory = temporaryDirectory(t);
	const program = activate(t, [join(directory, 'other')], serving(join(directory, 's')));
	t.false((await program.expect('held'))['inherited']);
});

for (const [defect, code] of [
	['bound', 'ERR_LISTEN_FDS'],
	['file', 'ERR_LISTEN_FDS'],
	['other', 'EADDRINUSE'],
] as const) {
	test(`LISTEN_FDS is wrong (${defect}): ${code}, and nothing is left`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = activate(t, [address], serving(address), {defect});
		t.like(await program.expect('refused'), {code});
		t.false(existsSync(`${address}.lock`));
	});
}

test('a removed socket file is reported, not bound again; a removed lock file is locked again', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = activate(t, [address], serving(address));
	await program.expect('held');
	unlinkSync(`${address}.lock`);
	await until(() => existsSync(`${address}.lock`), 'the lock file');
	unlinkSync(address);
	t.like(await program.expect('lost'), {code: 'ERR_ADDRESS_LOST'});
	t.false(existsSync(address));
});

async function registered(t: ExecutionContext, script: string): Promise<void> {
	const address = join(temporaryDirectory(t), 's');
	const command = [process.execPath, '--import', registerUrl, '--eval', script, address];
	const program = activate(t, [address], command);
	await program.expect('listening');
	t.regex(await getText(address), /^\d+$/);
	t.like(await inspect(address), {state: 'held', holder: {verified: true}});
	program.end();
	await withDeadline(program.exited);
	t.true(existsSync(address));
}

const serve = `require('node:http')
	.createServer((request, response) => response.end(String(process.pid)))
	.listen(process.argv[1], () => console.log(JSON.stringify({event: 'listening'})));`;

test('bindlock/register', async t => {
	await registered(t, `${serve} process.stdin.on('end', () => process.exit()).resume();`);
});

test('bindlock/register in a cluster', async t => {
	await registered(
		t,
		`const cluster = require('node:cluster');
		if (cluster.isPrimary) {
			cluster.setupPrimary({execArgv: [], exec: process.argv[1] + '.worker.js', args: [process.argv[1]]});
			require('node:fs').writeFileSync(process.argv[1] + '.worker.js', ${JSON.stringify(serve.replace('argv[1]', 'argv[2]'))});
			cluster.fork();
			process.stdin.on('end', () => process.exit()).resume();
		}`,
	);
});

test('bindlock run takes the lock, and its command gets the socket', async t => {
	const address = join(temporaryDirectory(t), 's');
	const listed = 'echo "$LISTEN_FDS $LISTEN_PID $$ $(readlink /proc/$$/fd/3)"; read -r line';
	const program = activate(t, [address], [process.execPath, cli, 'run', address, '--', 'sh', '-c', listed]);
	const [count, pid, own, socket] = String((await program.expect('line'))['line']).split(' ');
	t.is(count, '1');
	t.is(pid, own);
	t.regex(String(socket), /^socket:/);
	// bindlock leaves the lock to the command after it has started it.
	await until(async () => (await inspect(address)).holder?.pid === Number(pid), 'the command holds the lock');
	program.send('end');
	await withDeadline(program.exited);
	t.true(existsSync(address));
});

test('a hand-over passes the socket on, and its file stays', async t => {
	const directory = temporaryDirectory(t);
	const leash = join(directory, 'leash');
	const generations = createServer(connection => connection.on('error', () => {})).listen(leash);
	t.teardown(() => generations.close());
	const address = join(directory, 's');
	const program = activate(
		t,
		[address],
		[process.execPath, fileURLToPath(new URL('../../fixtures/relay.js', import.meta.url)), leash, address],
	);
	const {pid} = await program.expect('serving');
	process.kill(Number(pid), 'SIGUSR2');
	await until(async () => (await getText(address)) !== String(pid), 'the successor answers');
	const to = Number(await getText(address));
	t.like(await inspect(address), {state: 'held', holder: {pid: to, verified: true}});
	process.kill(to, 'SIGTERM');
	await until(async () => (await inspect(address)).state !== 'held', 'the end of the successor');
	t.true(existsSync(address));
});

testUnless(lacking('systemd-socket-activate'))('systemd-socket-activate', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = startCommand(t, 'systemd-socket-activate', ['--listen', address, ...serving(address)]);
	let answer = '';
	// The socket is bound before it listens.
	await until(async () => {
		answer = await getText(address).catch(() => '');
		return answer !== '';
	}, 'the answer');
	const {pid, inherited} = await program.expect('held');
	t.true(inherited);
	t.is(answer, String(pid));
});
