/**
 * Tests foreign servers: each is recognised, whatever its type, state and path, gets no connection if
 * possible, and is never mistaken for a dead socket.
 */
import {once} from 'node:events';
import {
	chownSync,
	existsSync,
	linkSync,
	mkdirSync,
	readFileSync,
	renameSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError, inspect} from '../../src/index.js';
import type {System} from '../../src/model/system.js';
import {
	lacking,
	noMounts,
	noNetworkNamespaces,
	noOtherUser,
	noPidNamespaces,
	noPython,
	otherUid,
	pathWithoutSs,
	python,
	testUnless,
	withoutSs,
} from '../helpers/abilities.js';
import {listeners, makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {indexUrl} from '../helpers/library.js';
import {
	notRoot,
	type Program,
	type StartOptions,
	start,
	startCommand,
	temporaryDirectory,
} from '../helpers/programs.js';
import {giveBack, systemWith, takeWith} from '../helpers/protocol.js';
import {startSocket} from '../helpers/sockets.js';
import {contentOf, inodeOf, namesIn} from '../helpers/tree.js';

checkLeaks();

async function startNaive(
	t: ExecutionContext,
	path: string,
	options: object = {},
	how: StartOptions = {},
): Promise<Program> {
	const program = start(t, 'naive', [path, JSON.stringify(options)], how);
	await program.expect('listening');
	return program;
}

async function clientsOf(program: Program): Promise<unknown> {
	program.send('count');
	return (await program.expect('count'))['clients'];
}

/** Checks that the attempt is EADDRINUSE and changes no file. @returns the error */
async function refused(
	t: ExecutionContext,
	address: string,
	attempt: Promise<unknown> = acquire(address),
): Promise<BindLockError> {
	const before = inodeOf(address);
	const error = await t.throwsAsync(attempt, {instanceOf: BindLockError, code: 'EADDRINUSE'});
	t.is(inodeOf(address), before);
	t.false(existsSync(`${address}.lock`), 'a new lock file is removed');
	return error as BindLockError;
}

async function recognised(t: ExecutionContext, address: string, program: Program): Promise<void> {
	const error = await refused(t, address);
	t.like(error.holder, {pid: program.pid, verified: true}, error.message);
	t.regex(error.message, new RegExp(`bound without a lock by pid ${program.pid} `));
}

/** A system whose kernel table does not show the socket, so only a connection can decide. */
const blind = systemWith({bound: () => undefined});

/** A system whose kernel table shows a socket without an owner, this many times. Its pauses return at once. */
function haunted(times: number): {system: System; pauses: number[]} {
	const pauses: number[] = [];
	let looks = 0;
	const system = systemWith({
		bound: proceed => (looks++ < times ? {isCertain: true} : proceed()),
		async pause(_, milliseconds) {
			pauses.push(milliseconds);
		},
	});
	return {system, pauses};
}

test.serial('a dying process can lose its lock before its sockets: acquire waits for the sockets', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const {system, pauses} = haunted(3);
	const taken = await takeWith(system, address);
	t.true(taken.reclaimed);
	t.is(pauses.length, 3);
	giveBack(address, taken);
});

test.serial('an invisible process that stays bound: EADDRINUSE after a moment, without a holder', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const {system, pauses} = haunted(Number.POSITIVE_INFINITY);
	const error = await refused(t, address, takeWith(system, address));
	t.is(error.holder, undefined);
	t.regex(error.message, /is not visible here is bound to it/);
	const sum = pauses.reduce((total, pause) => total + pause, 0);
	t.true(sum >= 100 && sum < 300, `waited ${pauses.join(' + ')} ms`);
});

const maybePython = testUnless(noPython());

for (const [kind, what] of Object.entries({
	bound: 'R4b: a socket between bind and listen',
	datagram: 'a datagram socket',
	seqpacket: 'a seqpacket socket',
	full: 'a server with a full backlog',
} as const)) {
	maybePython(`${what} is a live server, and its process is named`, async t => {
		const address = join(temporaryDirectory(t), 's');
		await recognised(t, address, await startSocket(t, kind as 'bound', address));
	});
}

maybePython('R4b: a socket between bind and listen that the table does not show is recognised by its file', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startSocket(t, 'bound', address);
	const inode = inodeOf(address);
	const error = await refused(t, address, takeWith(blind, address));
	t.regex(error.message, /is not visible here is bound to it/);
	t.is(inodeOf(address), inode);
});

testUnless(noPython(), noNetworkNamespaces())(
	'R4b: a socket between bind and listen in another network namespace is not removed',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		await startSocket(t, 'bound', address, {before: ['unshare', '--net']});
		await refused(t, address);
	},
);

maybePython(
	'R20: without evidence from the file, one reading of the table that misses the row is no proof',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		await startSocket(t, 'bound', address);
		for (let missed = 1; missed <= 4; missed++) {
			let readings = 0;
			const system = systemWith({
				connect: async () => 'UNPROVED',
				bound: proceed => (readings++ < missed ? undefined : proceed()),
			});
			await refused(t, address, takeWith(system, address));
		}
	},
);

testUnless(noPython(), noOtherUser())(
	"R19: another user's silent socket, bound to the same relative name, does not keep a crashed server from restarting",
	async t => {
		const become = ['setpriv', `--reuid=${otherUid}`, `--regid=${otherUid}`, '--clear-groups'];
		for (const before of [become, [...become, 'env', `PATH=${pathWithoutSs(t)}`]]) {
			const [mine, theirs] = [temporaryDirectory(t), temporaryDirectory(t)];
			chownSync(mine, otherUid, otherUid);
			await startSocket(t, 'bound', 'crashed', {cwd: theirs});
			await makeStale(join(mine, 'crashed'));
			chownSync(join(mine, 'crashed'), otherUid, otherUid);
			const program = start(t, 'holder', ['acquire', join(mine, 'crashed')], {before});
			t.like(await program.expect('held'), {reclaimed: true}, before.at(-1) ?? '');
			await program.kill();
		}
	},
);

testUnless(noPython(), lacking('ss'))('for many sockets with our file name, acquire starts ss only twice', async t => {
	const [mine, theirs, bin] = [temporaryDirectory(t), temporaryDirectory(t), temporaryDirectory(t)];
	const {PATH = ''} = process.env;
	const asked = join(bin, 'asked');
	writeFileSync(join(bin, 'ss'), `#!/bin/sh\necho >>'${asked}'; PATH='${PATH}' exec ss "$@"\n`, {mode: 0o755});
	process.env['PATH'] = `${bin}:${PATH}`;
	t.teardown(() => {
		process.env['PATH'] = PATH;
	});
	const script = `import os, socket, sys
keep = []
for i in range(300):
  os.mkdir(f'{sys.argv[1]}/{i}')
  keep.append(socket.socket(socket.AF_UNIX))
  keep[-1].bind(f'{sys.argv[1]}/{i}/many')
print('up', flush=True)
sys.stdin.read()`;
	const crowd = startCommand(t, python, ['-c', script, theirs]);
	await crowd.expect('line');
	await makeStale(join(mine, 'many'));
	const lock = await acquire(join(mine, 'many'));
	t.true(lock.reclaimed);
	// One query for bound sockets, and one for other views of the directory.
	t.is(readFileSync(asked, 'utf8'), '\n\n');
	await lock.release();
});

maybePython('a connection alone recognises a datagram socket, a seqpacket socket and a full backlog', async t => {
	for (const [kind, message] of [
		['datagram', /a datagram or seqpacket socket is bound there/],
		['seqpacket', /a datagram or seqpacket socket is bound there/],
		['full', /has a full backlog there/],
	] as const) {
		const address = join(temporaryDirectory(t), 's');
		await startSocket(t, kind, address);
		t.regex((await refused(t, address, takeWith(blind, address))).message, message);
	}
});

maybePython('a socket between bind and listen whose process has changed its directory is not stale', async t => {
	const directory = temporaryDirectory(t);
	await startSocket(t, 'bound', 's', {cwd: directory, chdir: '/'});
	await refused(t, join(directory, 's'));
});

testUnless(noPython(), notRoot)(
	'a socket between bind and listen whose process has changed its root is not stale',
	async t => {
		const address = join(temporaryDirectory(t), 'jailed');
		await startSocket(t, 'bound', address, {jail: temporaryDirectory(t)});
		await refused(t, address);
		t.true(existsSync(address));
	},
);

testUnless(
	noPython(),
	noPidNamespaces(),
	noMounts(),
)('a socket between bind and listen of an invisible process, bound by another path, is not stale', async t => {
	const [directory, elsewhere] = [temporaryDirectory(t), temporaryDirectory(t)];
	const before = [
		'unshare',
		'--mount',
		'--pid',
		'--fork',
		'--kill-child',
		'sh',
		'-c',
		'mount --bind "$0" "$1" && shift && exec "$@"',
	];
	const script = `import {acquire} from ${JSON.stringify(indexUrl)};
			await acquire(${JSON.stringify(join(directory, 'hidden'))}).catch(({code}) => console.log(JSON.stringify({event: code})));`;
	await startSocket(t, 'bound', join(elsewhere, 'hidden'), {before: [...before, directory, elsewhere]});
	const inside = ['unshare', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'];
	const looker = startCommand(t, process.execPath, ['--input-type=module', '-e', script], {before: inside});
	t.is((await looker.next()).event, 'EADDRINUSE');
	t.true(existsSync(join(directory, 'hidden')));
});

test.serial('a stopped server with a full backlog is live, by the table and by a connection', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await startNaive(t, address, {backlog: 30});
	program.signal('SIGSTOP');
	const clients: Socket[] = [];
	let answer = 'connect';
	while (answer === 'connect') {
		const client = connect(address);
		clients.push(client);
		answer = await new Promise(resolve => {
			client
				.on('connect', () => resolve('connect'))
				.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? ''));
		});
	}
	t.is(answer, 'EAGAIN');
	await recognised(t, address, program);
	t.regex((await refused(t, address, takeWith(blind, address))).message, /full backlog/);
	for (const client of clients) client.destroy();
});

const maybeNamespaced = testUnless(noNetworkNamespaces());
const elsewhere: StartOptions = {before: ['unshare', '--net']};

maybeNamespaced('a server in another network namespace is live: it answers', async t => {
	const address = join(temporaryDirectory(t), 's');
	await startNaive(t, address, {}, elsewhere);
	t.is(listeners(address), 0, 'this table does not show the server');
	const error = await refused(t, address);
	t.regex(error.message, /perhaps in another network namespace/);
	t.is(error.holder, undefined);
	t.is((await inspect(address)).state, 'foreign');
});

testUnless(noNetworkNamespaces() ?? noPython())(
	'a server with a full backlog in another network namespace is live',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		await startSocket(t, 'full', address, elsewhere);
		t.regex((await refused(t, address)).message, /full backlog/);
	},
);

test.serial('a server that accepts one connection still has it after acquire and inspect', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await startNaive(t, address, {once: true});
	for (let time = 0; time < 3; time++) {
		await recognised(t, address, program);
		t.like(await inspect(address), {state: 'foreign', holder: {pid: program.pid}});
	}
	const client = connect(address);
	const [data] = (await once(client, 'data')) as [Buffer];
	t.is(String(data), 'bye\n');
	t.like(await program.exited, {code: 3});
	client.destroy();
});

test.serial('an accepted connection that outlives its closed listener is no server', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await startNaive(t, address);
	linkSync(address, `${address}.kept`);
	const client = connect(address);
	await once(client, 'data');
	program.send('close');
	await program.expect('stopped');
	renameSync(`${address}.kept`, address);
	t.is(listeners(address), 0);
	t.regex(readFileSync('/proc/net/unix', 'utf8'), new RegExp(` 03 +\\d+ ${address}\n`), 'the connection has the path');

	const lock = await acquire(address);
	t.true(lock.reclaimed);
	await lock.release();
	t.is(await clientsOf(program), 1);
	client.destroy();
});

const names: readonly string[] = [
	'with space',
	' leading and trailing ',
	`"double" and 'single'`,
	'back\\slash \\n',
	'a\nb',
	'\n',
	'tab\tand\u001b[31m',
	'@x',
	'-x',
	'--help',
	'日本 naïve 🔒',
	'\u0085\u00a0',
	'%s $HOME *?[a]',
	'...',
	'unix:x',
];

for (const name of names) {
	test.serial(
		`the name ${JSON.stringify(name)}: reclaimed if stale, recognised if live, absolute and relative`,
		async t => {
			const directory = temporaryDirectory(t);
			const address = join(directory, name);
			await makeStale(address);
			const lock = await acquire(address, {removeLockFile: true});
			t.true(lock.reclaimed);
			await lock.release();
			t.deepEqual(namesIn(directory), []);
			for (const [given, how] of [
				[address, {}],
				[`./${name}`, {cwd: directory}],
			] as const) {
				const program = await startNaive(t, given, {}, how);
				await recognised(t, address, program);
				t.is(await clientsOf(program), 0, 'the server got no connection');
				await program.kill();
				const after = await acquire(address, {removeLockFile: true});
				t.true(after.reclaimed);
				await after.release();
			}
		},
	);
}

test.serial('a name that looks like a row of the table hides no server', async t => {
	const address = join(temporaryDirectory(t), 'a\n0000000000000000: 00000002 00000000 00010000 0001 01 12345 b');
	const program = await startNaive(t, address);
	await refused(t, address);
	await program.kill();
	const lock = await acquire(address);
	t.true(lock.reclaimed);
	await lock.release();
});

test.serial('a name that is a suffix of a live server’s name is reclaimed', async t => {
	const directory = temporaryDirectory(t);
	const others = ['xs', 'x s', 'x\ns', 'd/s'];
	mkdirSync(join(directory, 'd'));
	for (const other of others) await startNaive(t, join(directory, other));
	await startNaive(t, 's', {}, {cwd: temporaryDirectory(t)});
	await makeStale(join(directory, 's'));
	const lock = await acquire(join(directory, 's'));
	t.true(lock.reclaimed);
	await lock.release();
	t.is(contentOf(directory).length, others.length + 3, 'the directory itself, d, and our lock file');
});

test.serial(
	'a server bound by a relative path, or through a symlinked directory, is recognised without a connection',
	async t => {
		const directory = temporaryDirectory(t);
		mkdirSync(join(directory, 'real', 'sub'), {recursive: true});
		symlinkSync('real', join(directory, 'alias'));
		const address = join(directory, 'real', 's');
		for (const [path, cwd] of [
			['s', join(directory, 'real')],
			['../s', join(directory, 'real', 'sub')],
			['real/./s', directory],
			[join(directory, 'alias', 's'), '/'],
			[`${directory}//real/sub/../s`, '/'],
		] as const) {
			const program = await startNaive(t, path, {}, {cwd});
			await recognised(t, address, program);
			const error = await t.throwsAsync(acquire(join(directory, 'alias', 's')), {
				instanceOf: BindLockError,
				code: 'EADDRINUSE',
			});
			t.is(error?.holder?.pid, program.pid);
			t.is((await inspect(address)).state, 'foreign');
			t.is(await clientsOf(program), 0);
			await program.kill();
			const lock = await acquire(address, {removeLockFile: true});
			t.true(lock.reclaimed);
			await lock.release();
		}
	},
);

testUnless(lacking('ss'))(
	'a server bound by a relative path that has changed its directory is recognised by its file',
	async t => {
		const directory = temporaryDirectory(t);
		const program = await startNaive(t, 's', {chdir: '/'}, {cwd: directory});
		await recognised(t, join(directory, 's'), program);
		t.is(await clientsOf(program), 0);
	},
);

test.serial(
	'without ss, a server bound by a relative path that has changed its directory is live: it answers',
	async t => {
		withoutSs(t);
		const directory = temporaryDirectory(t);
		await startNaive(t, 's', {chdir: '/'}, {cwd: directory});
		t.regex((await refused(t, join(directory, 's'))).message, /accepts connections there/);
	},
);

test.serial('a relative address keeps its meaning after chdir', async t => {
	const here = process.cwd();
	t.teardown(() => process.chdir(here));
	const directory = temporaryDirectory(t);
	process.chdir(directory);
	await makeStale(join(directory, 's'));
	const lock = await acquire('s');
	t.true(lock.reclaimed);
	process.chdir('/');
	await t.throwsAsync(acquire(join(directory, 's')), {code: 'EADDRINUSE'});
	await lock.release();
	t.deepEqual(namesIn(directory), ['s.lock']);
	t.is(readFileSync(join(directory, 's.lock'), 'utf8'), '');
	t.false(existsSync('/s.lock'));
});
