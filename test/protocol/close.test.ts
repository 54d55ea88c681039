/**
 * Tests the close of a server: the order of socket and lock, and the files that are set aside and put back.
 */
import {once} from 'node:events';
import {
	chmodSync,
	chownSync,
	lstatSync,
	mkdirSync,
	readFileSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs';
import {createServer, Server} from 'node:net';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import test, {type ExecutionContext} from 'ava';
import {listen} from '../../src/index.js';
import {NodeSystem} from '../../src/kernel/node-system.js';
import {runSync} from '../../src/model/driver.js';
import type {System} from '../../src/model/system.js';
import {closeSocketByLibuv} from '../../src/protocol/close.js';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {ends, entryOf, listening} from '../helpers/closing.js';
import {withDeadline} from '../helpers/deadlines.js';
import {flockHolders, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {indexUrl} from '../helpers/library.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {pathname, systemWith} from '../helpers/protocol.js';
import {serveNaively} from '../helpers/sockets.js';
import {contentOf, type Entry, namesIn} from '../helpers/tree.js';

checkLeaks();

test.serial('the first free aside name is used, and those of others stay', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const {lock} = await listening(t, address);
	unlinkSync(address);
	writeFileSync(address, 'precious');
	writeFileSync(`${address}.aside0`, 'zero');
	symlinkSync('nowhere', `${address}.aside1`);
	const before = contentOf(directory).filter(({name}) => name !== 's.lock');
	await lock.release();
	t.deepEqual(
		contentOf(directory).filter(({name}) => name !== 's.lock'),
		before,
	);
});

test.serial('R6: the socket is removed first, and the lock is released last', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	for (const end of Object.values(ends)) {
		let then: unknown;
		const server = new Colliding(() => {
			then = {names: namesIn(directory), holders: flockHolders(`${address}.lock`, [process.pid])};
		});
		const lock = await listen(server, address, {heal: false});
		await end(server, lock);
		t.deepEqual(then, {names: ['s.lock'], holders: [process.pid]});
		t.deepEqual(flockHolders(`${address}.lock`, [process.pid]), []);
	}
});

/** Closes a bound server by the protocol. Returns the path of a file that was left aside. */
function stop(t: ExecutionContext, given: string, system: System, prepare: () => void): string | undefined {
	const server = createServer().listen(given);
	t.teardown(() => server.close());
	const bound = new NodeSystem(given).lstat(given);
	prepare();
	return runSync(closeSocketByLibuv(pathname(given), {close: () => server.close()}, bound), system);
}

test.serial(
	'put-back collision: if the path is taken again, both files stay, and the path of the other is returned',
	async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		for (const mayLink of [true, false]) {
			const system = systemWith({
				closeListener(proceed) {
					proceed();
					serveNaively(t, address);
				},
				link(proceed) {
					if (!mayLink) throw Object.assign(new Error('EPERM'), {code: 'EPERM'});
					proceed();
				},
			});
			const left = stop(t, address, system, () => {
				unlinkSync(address);
				writeFileSync(address, 'precious');
			});
			t.is(left, `${address}.aside0`);
			t.is(readFileSync(`${address}.aside0`, 'utf8'), 'precious');
			t.true(lstatSync(address).isSocket());
			t.true(Number.isNaN(await reach(address)));
			t.deepEqual(namesIn(directory), ['s', 's.aside0']);
			for (const name of namesIn(directory)) unlinkSync(join(directory, name));
		}
	},
);

test.serial('put-back collision in a worker thread: a warning names the file that is left', async t => {
	const address = join(temporaryDirectory(t), 's');
	const text = `import {once} from 'node:events';
		import {unlinkSync, writeFileSync} from 'node:fs';
		import {createServer} from 'node:net';
		import {parentPort} from 'node:worker_threads';
		import {listen} from ${JSON.stringify(indexUrl)};
		const address = ${JSON.stringify(address)};
		const server = createServer();
		const {listen: original} = server;
		server.listen = (...parameters) => {
			original.apply(server, parameters);
			const handle = server._handle;
			const close = handle.close;
			handle.close = (...all) => {
				close.apply(handle, all);
				writeFileSync(address, 'another');
			};
			return server;
		};
		const lock = await listen(server, address, {heal: false});
		unlinkSync(address);
		writeFileSync(address, 'precious');
		const warned = once(process, 'warning');
		await lock.release();
		const [{name, message}] = await warned;
		parentPort.postMessage({name, message});`;
	const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`));
	const exited = once(worker, 'exit');
	const [{name, message}] = await withDeadline(once(worker, 'message'));
	await exited;
	t.is(name, 'BindLockWarning');
	t.true(message.includes(`${address}.aside0`), message);
	t.is(readFileSync(`${address}.aside0`, 'utf8'), 'precious');
	t.is(readFileSync(address, 'utf8'), 'another');
});

/** A server that calls `collide` right after its listening socket is closed. */
class Colliding extends Server {
	readonly #collide: () => void;

	constructor(collide: () => void) {
		super();
		this.#collide = collide;
	}

	override listen(...parameters: unknown[]): this {
		super.listen(...(parameters as [object]));
		const handle = (this as unknown as {_handle: {close(...all: unknown[]): void}})._handle;
		const close = handle.close;
		handle.close = (...all) => {
			close.apply(handle, all);
			this.#collide();
		};
		return this;
	}
}

test.serial('if the other file may not be linked, it is renamed, and renamed back', t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const system = systemWith({
		link() {
			throw Object.assign(new Error('EPERM'), {code: 'EPERM'});
		},
	});
	let before: Entry[] = [];
	const left = stop(t, address, system, () => {
		unlinkSync(address);
		writeFileSync(address, 'precious');
		before = contentOf(directory);
	});
	t.is(left, undefined);
	t.deepEqual(contentOf(directory), before);
});

const unprotected =
	readFileSync('/proc/sys/fs/protected_hardlinks', 'utf8') === '1\n' ? undefined : 'fs.protected_hardlinks is off';

testUnless(noOtherUser(), unprotected)('a file of another user that may not be linked stays', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	chownSync(directory, otherUid, otherUid);
	const server = start(t, 'holder', ['listen', address, '{"heal":false}'], {uid: otherUid});
	await server.expect('held');
	unlinkSync(address);
	serveNaively(t, address);
	chmodSync(address, 0o600);
	const before = entryOf(directory, 's');
	server.send('release');
	await server.expect('released');
	t.deepEqual(entryOf(directory, 's'), before);
	t.deepEqual(namesIn(directory), ['s', 's.lock']);
	t.true(Number.isNaN(await reach(address)));
});

/** Changes to a directory whose absolute path is too long for an address, until the test ends. */
function enterLongDirectory(t: ExecutionContext): string {
	const here = process.cwd();
	const directory = join(temporaryDirectory(t), ...Array.from({length: 12}, () => 'directory'));
	t.teardown(() => process.chdir(here));
	mkdirSync(directory, {recursive: true});
	process.chdir(directory);
	return directory;
}

for (const [how, end] of Object.entries(ends)) {
	test.serial(`a relative address whose absolute path is too long: ${how} removes the socket file`, async t => {
		const directory = enterLongDirectory(t);
		const {server, lock} = await listening(t, './s');
		t.deepEqual(namesIn(directory), ['s', 's.lock']);
		await end(server, lock);
		t.deepEqual(namesIn(directory), ['s.lock']);
	});

	test.serial(
		`after chdir, ${how} removes the socket in the old directory, and not the one in the new directory`,
		async t => {
			const directory = enterLongDirectory(t);
			const {server, lock} = await listening(t, 's');
			const other = temporaryDirectory(t);
			process.chdir(other);
			serveNaively(t, 's');
			const before = contentOf(other);
			await end(server, lock);
			t.deepEqual(namesIn(directory), ['s.lock']);
			t.is(readFileSync(join(directory, 's.lock'), 'utf8'), '');
			t.deepEqual(contentOf(other), before);
		},
	);
}

for (const length of ['short', 'long'] as const) {
	test.serial(`R14: a successor's socket file with our inode number stays (${length} path)`, async t => {
		const directory = length === 'long' ? enterLongDirectory(t) : temporaryDirectory(t);
		const given = length === 'long' ? 's' : join(directory, 's');
		let ours: ReturnType<System['lstat']>;
		let closed = false;
		const system = systemWith({
			closeListener(proceed) {
				proceed();
				closed = true;
				// A foreign server binds right after the unlink by libuv.
				serveNaively(t, given);
			},
			lstat(proceed) {
				const found = proceed();
				if (!closed) ours ??= found;
				// Most filesystems reuse the number of a removed inode for the next file.
				return closed && found && ours ? {...found, dev: ours.dev, ino: ours.ino} : found;
			},
		});
		t.is(
			stop(t, given, system, () => {}),
			undefined,
		);
		t.deepEqual(namesIn(directory), ['s']);
		t.true(Number.isNaN(await reach(given)), 'it answers');
	});
}
