/**
 * Tests a masked server: however it closes, it leaves the file at its path untouched.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {listen} from '../../src/index.js';
import {NodeSystem} from '../../src/kernel/node-system.js';
import {runSync} from '../../src/model/driver.js';
import {closeSocketByLibuv} from '../../src/protocol/close.js';
import {ends, entryOf, listening} from '../helpers/closing.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {indexUrl} from '../helpers/library.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {pathname} from '../helpers/protocol.js';
import {serveNaively} from '../helpers/sockets.js';
import {contentOf, namesIn} from '../helpers/tree.js';

checkLeaks();

const successors: Readonly<Record<string, (path: string) => unknown>> = {
	'a file': path => writeFileSync(path, 'precious'),
	'an empty directory': path => mkdirSync(path),
	'a directory with content': path => {
		mkdirSync(path);
		writeFileSync(join(path, 'x'), 'precious');
	},
	'a symbolic link to a file': path => {
		writeFileSync(`${path}.target`, 'precious');
		symlinkSync(`${path}.target`, path);
	},
	'a symbolic link to nothing': path => symlinkSync(`${path}.target`, path),
	'a FIFO': path => spawnSync('mkfifo', [path]),
	'a stale socket': path => makeStale(path),
};

for (const [how, end] of Object.entries(ends)) {
	test.serial(`${how} removes our own socket file`, async t => {
		const directory = temporaryDirectory(t);
		const {server, lock} = await listening(t, join(directory, 's'));
		t.deepEqual(namesIn(directory), ['s', 's.lock']);
		await end(server, lock);
		t.false(server.listening);
		t.deepEqual(namesIn(directory), ['s.lock']);
		t.is(readFileSync(join(directory, 's.lock'), 'utf8'), '');
	});

	test.serial(`R11: ${how} of a masked server leaves the socket of its successor, which stays reachable`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		const {server, lock} = await listening(t, address);
		unlinkSync(address);
		const successor = start(t, 'naive', [address, '{"once":true}']);
		await successor.expect('listening');
		const before = entryOf(directory, 's');
		await end(server, lock);
		const after = entryOf(directory, 's');
		t.deepEqual(after, before);
		t.true(Number.isNaN(await reach(address)), 'the server says bye instead of a pid');
		t.like(await successor.exited, {code: 3});
		t.deepEqual(namesIn(directory), ['s', 's.lock']);
	});

	for (const [what, make] of Object.entries(successors)) {
		test.serial(`R11: ${how} leaves ${what} that is at the path by then`, async t => {
			const directory = temporaryDirectory(t);
			const address = join(directory, 's');
			const {server, lock} = await listening(t, address);
			unlinkSync(address);
			await make(address);
			const besidesLock = () => contentOf(directory).filter(({name}) => name !== 's.lock');
			const before = besidesLock();
			await end(server, lock);
			t.deepEqual(besidesLock(), before);
			t.false(server.listening);
		});
	}

	test.serial(`${how} after the socket file was removed`, async t => {
		const directory = temporaryDirectory(t);
		const {server, lock} = await listening(t, join(directory, 's'));
		unlinkSync(join(directory, 's'));
		await end(server, lock);
		t.deepEqual(namesIn(directory), ['s.lock']);
	});

	test.serial(`${how} after its whole directory was removed, or replaced by a file`, async t => {
		const directory = join(temporaryDirectory(t), 'd');
		for (const replacement of [undefined, 'precious']) {
			rmSync(directory, {recursive: true, force: true});
			mkdirSync(directory);
			const {server, lock} = await listening(t, join(directory, 's'));
			rmSync(directory, {recursive: true});
			if (replacement !== undefined) writeFileSync(directory, replacement);
			await end(server, lock);
			t.is(existsSync(directory), replacement !== undefined);
			t.false(lock.held);
		}
	});
}

test.serial('R2: a server whose lock file and socket were taken over leaves both alone', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const server = createServer();
	const lock = await listen(server, address, {removeLockFile: true, heal: false});
	unlinkSync(address);
	unlinkSync(`${address}.lock`);
	const successor = start(t, 'holder', ['listen', address, '{"heal":false}']);
	await successor.expect('held');
	const before = contentOf(directory);
	await lock.release();
	t.deepEqual(contentOf(directory), before);
	t.is(await reach(address), successor.pid);
});

test.serial('R11: a successor with healing does not report the moment in which its file is set aside', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const successor = start(t, 'holder', ['listen', address]);
	await successor.expect('held');
	const before = contentOf(directory);
	// libuv closes the socket of a masked server in this way: it unlinks the path, whatever file is there.
	const masked = {close: () => unlinkSync(address)};
	for (let round = 0; round < 30; round++) {
		const left = runSync(closeSocketByLibuv(pathname(address), masked, undefined), new NodeSystem(address));
		t.is(left, undefined);
		// Long enough for the second check before healing.
		await new Promise(resolve => setTimeout(resolve, 60));
		t.is(await reach(address), successor.pid);
		t.deepEqual(contentOf(directory), before, `round ${round}`);
	}
});

test.serial('R15: a masked server never removes the socket of its successor, not even for a moment', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const {lock} = await listening(t, address);
	unlinkSync(address);
	serveNaively(t, address);
	// Every link, rename or unlink changes the modification time of the directory.
	const before = statSync(directory, {bigint: true}).mtimeNs;
	await lock.release();
	t.is(statSync(directory, {bigint: true}).mtimeNs, before);
	t.true(Number.isNaN(await reach(address)), 'it answers');
});

test.serial('a masked server that exits by itself leaves the file', async t => {
	const address = join(temporaryDirectory(t), 's');
	const text = `import {unlinkSync, writeFileSync} from 'node:fs';
		import {createServer} from 'node:net';
		import {listen} from ${JSON.stringify(indexUrl)};
		const server = createServer();
		const lock = await listen(server, ${JSON.stringify(address)}, {heal: false});
		unlinkSync(${JSON.stringify(address)});
		writeFileSync(${JSON.stringify(address)}, 'precious');
		process.on('exit', code => console.log('ending', code));
		process.exitCode = 7;
		server.close();`;
	const program = startCommand(t, process.execPath, ['--input-type=module', '-e', text]);
	t.is((await program.next())['line'], 'ending 7');
	t.deepEqual(await program.exited, {code: 7, signal: null});
	t.is(readFileSync(address, 'utf8'), 'precious');
});

for (const [how, end] of Object.entries({
	'an earlier exit listener throws, and the error is handled':
		"process.on('uncaughtException', () => {}).prependListener('exit', () => { throw new Error('x'); })",
	'a later exit listener throws, and the error is handled':
		"process.on('uncaughtException', () => {}).on('exit', () => { throw new Error('x'); })",
	'all exit listeners are removed': "process.removeAllListeners('exit')",
})) {
	test.serial(`a released server that exits by itself leaves the file of its successor: ${how}`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const text = `import {writeFileSync} from 'node:fs';
			import {createServer} from 'node:net';
			import {listen} from ${JSON.stringify(indexUrl)};
			const lock = await listen(createServer(), ${JSON.stringify(address)});
			await lock.release();
			writeFileSync(${JSON.stringify(address)}, 'precious');
			process.exitCode = 7;
			${end};`;
		const program = startCommand(t, process.execPath, ['--input-type=module', '-e', text]);
		t.deepEqual(await program.exited, {code: 7, signal: null});
		t.is(readFileSync(address, 'utf8'), 'precious');
	});
}

test.serial("a program that emits 'exit' itself continues", async t => {
	const address = join(temporaryDirectory(t), 's');
	const text = `import {createServer} from 'node:net';
		import {listen} from ${JSON.stringify(indexUrl)};
		listen(createServer(), ${JSON.stringify(address)}).then(lock => {
			process.emit('exit', 3);
			console.log('still here');
			return lock.release();
		});`;
	const program = startCommand(t, process.execPath, ['--input-type=module', '-e', text]);
	t.is((await program.next())['line'], 'still here');
	t.deepEqual(await program.exited, {code: 0, signal: null});
});
