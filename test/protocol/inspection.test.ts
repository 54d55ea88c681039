/**
 * Tests the states that `inspect` reports: free, stale, held, foreign, blocked.
 */
import {spawnSync} from 'node:child_process';
import {chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {hostname} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError, type Inspection, inspect, listen} from '../../src/index.js';
import {run} from '../../src/model/driver.js';
import {inspectPathname} from '../../src/protocol/inspection.js';
import {noFlockCommand, noOtherUser, noPython, otherUid, testUnless} from '../helpers/abilities.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {indexUrl} from '../helpers/library.js';
import {type Event, start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {pathname, systemWith, wrap} from '../helpers/protocol.js';
import {serveNaively, startSocket} from '../helpers/sockets.js';
import {treeOf} from '../helpers/tree.js';

checkLeaks();

/** Larger than every pid that Linux assigns. */
const nobody = 4_194_999;

const recordOfNobody = `${nobody}\n{"bindlock":1,"pid":${nobody},"fd":3,"since":"2020-01-01T00:00:00.000Z"}\n`;

/** Returns the report of `inspect`, and checks that no file has changed. */
async function see(t: ExecutionContext, address: string): Promise<Inspection> {
	const directory = join(address, '..');
	const before = treeOf(directory);
	const seen = await inspect(address);
	t.deepEqual(treeOf(directory), before);
	t.is(seen.address, address);
	return seen;
}

type Make = (address: string, t: ExecutionContext) => unknown;

const nothing: Make = () => {};
const locks: Readonly<Record<string, Make>> = {
	'no lock file': nothing,
	'an empty lock file': address => writeFileSync(`${address}.lock`, ''),
	'the record of a dead process': address => writeFileSync(`${address}.lock`, recordOfNobody),
	'the pid of a dead process': address => writeFileSync(`${address}.lock`, `${nobody}\n`),
	'NULs in the lock file': address => writeFileSync(`${address}.lock`, '\0\0'),
};

for (const [what, makeLock] of Object.entries(locks)) {
	test.serial(`free or stale, with ${what}: as acquire finds it`, async t => {
		const address = join(temporaryDirectory(t), 's');
		await makeLock(address, t);
		t.deepEqual(await see(t, address), {address, lockPath: `${address}.lock`, state: 'free', found: 'nothing'});
		await makeStale(address);
		t.deepEqual(await see(t, address), {address, lockPath: `${address}.lock`, state: 'stale', found: 'socket'});
		const lock = await acquire(address);
		t.true(lock.reclaimed);
		await lock.release();
	});
}

test.serial('held: by a serving process, by one that has not bound yet, and by this one', async t => {
	const directory = temporaryDirectory(t);
	const serving = start(t, 'holder', ['listen', join(directory, 'a'), '{"label":"blue"}']);
	await serving.expect('held');
	const seen = await see(t, join(directory, 'a'));
	t.like(seen, {state: 'held', found: 'socket', holder: {pid: serving.pid, label: 'blue', verified: true}});
	t.true(seen.holder?.since instanceof Date && seen.holder.command?.includes('holder.js'));

	const before = start(t, 'holder', ['acquire', join(directory, 'b')]);
	await before.expect('held');
	t.like(await see(t, join(directory, 'b')), {state: 'held', found: 'nothing', holder: {pid: before.pid}});

	const lock = await acquire(join(directory, 'c'));
	t.like(await see(t, join(directory, 'c')), {state: 'held', found: 'nothing', holder: {pid: process.pid}});
	await lock.release();
	t.is((await see(t, join(directory, 'c'))).state, 'free');
});

test.serial('held: by the lock alone, whatever file is at the address', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	writeFileSync(address, 'precious');
	t.like(await see(t, address), {state: 'held', found: 'file', holder: {pid: process.pid}});
	await lock.release();
	t.like(await see(t, address), {state: 'blocked', found: 'file'});
});

test.serial('held, crashed, taken again', async t => {
	const address = join(temporaryDirectory(t), 's');
	const crashing = start(t, 'holder', ['listen', address]);
	await crashing.expect('held');
	await crashing.kill();
	const seen = await see(t, address);
	t.deepEqual(seen, {address, lockPath: `${address}.lock`, state: 'stale', found: 'socket'});
	const server = createServer();
	const lock = await listen(server, address);
	t.like(await see(t, address), {state: 'held', found: 'socket', holder: {pid: process.pid}});
	await lock.release();
	t.like(await see(t, address), {state: 'free', found: 'nothing'});
});

testUnless(noFlockCommand())('held: by a process that writes no record', async t => {
	const address = join(temporaryDirectory(t), 's');
	writeFileSync(`${address}.lock`, recordOfNobody);
	const holder = startCommand(t, 'flock', ['-x', `${address}.lock`, 'sh', '-c', 'echo locked; exec cat']);
	await holder.expect('line');
	t.like(await see(t, address), {state: 'held', found: 'nothing', holder: {pid: holder.pid, verified: true}});
});

test.serial('not held: the pid in a crashed holder’s record belongs to another process now', async t => {
	const address = join(temporaryDirectory(t), 's');
	const record = {bindlock: 1, pid: process.pid, fd: 0, since: '2020-01-01T00:00:00.000Z', host: hostname()};
	writeFileSync(`${address}.lock`, `${process.pid}\n${JSON.stringify(record)}\n`);
	const {state, holder} = await see(t, address);
	t.deepEqual({state, holder}, {state: 'free', holder: undefined});
	await (await acquire(address)).release();
});

test.serial('foreign: a server without a lock, in this process or another', async t => {
	const directory = temporaryDirectory(t);
	serveNaively(t, join(directory, 'a'));
	t.like(await see(t, join(directory, 'a')), {state: 'foreign', found: 'socket', holder: {pid: process.pid}});
	const program = start(t, 'naive', [join(directory, 'b')]);
	await program.expect('listening');
	const seen = await see(t, join(directory, 'b'));
	t.like(seen, {state: 'foreign', found: 'socket', holder: {pid: program.pid, verified: true}});
	t.is(seen.reason, undefined);
});

testUnless(noPython())('foreign: a socket that does not listen, or has another type', async t => {
	for (const kind of ['bound', 'datagram', 'seqpacket', 'full'] as const) {
		const address = join(temporaryDirectory(t), 's');
		const program = await startSocket(t, kind, address);
		const seen = await see(t, address);
		t.like(seen, {state: 'foreign', found: 'socket', holder: {pid: program.pid}}, kind);
	}
});

/** Each code is the one that `acquire` gives. */
const obstacles: Readonly<Record<string, readonly [code: string, found: string, make: Make]>> = {
	'a file': ['ENOTSOCK', 'file', address => writeFileSync(address, 'precious')],
	'a directory': ['ENOTSOCK', 'directory', address => mkdirSync(address)],
	'a symbolic link to nothing': ['ENOTSOCK', 'symlink', address => symlinkSync('nowhere', address)],
	'a symbolic link to a live server': [
		'ENOTSOCK',
		'symlink',
		(address, t) => {
			serveNaively(t, `${address}.target`);
			symlinkSync(`${address}.target`, address);
		},
	],
	'a FIFO': ['ENOTSOCK', 'other', address => spawnSync('mkfifo', [address])],
	'a lock file that is a directory': ['EISDIR', 'nothing', address => mkdirSync(`${address}.lock`)],
	'a lock file that is a link': ['ELOOP', 'nothing', address => symlinkSync('nowhere', `${address}.lock`)],
	'a lock file that is a socket': ['ENXIO', 'nothing', address => makeStale(`${address}.lock`)],
	'a lock file that is a FIFO': ['ERR_LOCK_FILE_TYPE', 'nothing', address => spawnSync('mkfifo', [`${address}.lock`])],
	'a lock file with two names': [
		'EMLINK',
		'nothing',
		address => {
			writeFileSync(`${address}.lock`, '');
			linkSync(`${address}.lock`, `${address}.other`);
		},
	],
	"another program's lock file": [
		'ERR_LOCK_FILE_FOREIGN',
		'nothing',
		address => writeFileSync(`${address}.lock`, '# yarn lockfile v1\n'),
	],
	'a large lock file': [
		'ERR_LOCK_FILE_FOREIGN',
		'nothing',
		address => writeFileSync(`${address}.lock`, `${nobody}\n`.padEnd(5000)),
	],
	"a stale socket, and another program's lock file": [
		'ERR_LOCK_FILE_FOREIGN',
		'socket',
		async address => {
			await makeStale(address);
			writeFileSync(`${address}.lock`, 'text');
		},
	],
};

for (const [what, [code, found, make]] of Object.entries(obstacles)) {
	test.serial(`blocked: ${what}`, async t => {
		const address = join(temporaryDirectory(t), 's');
		await make(address, t);
		const seen = await see(t, address);
		t.like(seen, {state: 'blocked', found});
		const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code});
		t.true(seen.reason instanceof BindLockError);
		t.is<string | undefined, string | undefined>(seen.reason?.code, error?.code, 'as acquire refuses it');
		t.is(seen.reason?.address, address);
	});
}

test.serial('blocked: the directory is missing, or is a file', async t => {
	const directory = temporaryDirectory(t);
	for (const [address, code] of [
		[join(directory, 'missing', 's'), 'ENOENT'],
		[join(directory, 'file', 's'), 'ENOTDIR'],
	] as const) {
		writeFileSync(join(directory, 'file'), '');
		const seen = await inspect(address);
		t.like(seen, {state: 'blocked', found: 'nothing', reason: {code, address}});
		await t.throwsAsync(acquire(address), {code});
	}
});

/** Returns the report of another user on `s` in the directory. */
async function seenByOther(t: ExecutionContext, directory: string): Promise<Event> {
	const source = `import {inspect} from ${JSON.stringify(indexUrl)};
		const {state, found, reason} = await inspect(${JSON.stringify(join(directory, 's'))});
		console.log(JSON.stringify({event: 'seen', state, found, code: reason?.code}));`;
	const args = ['--input-type=module', '--eval', source];
	return startCommand(t, process.execPath, args, {uid: otherUid}).expect('seen');
}

const maybeAsOther = testUnless(noOtherUser());

maybeAsOther('blocked: for a user without permission for the directory or the lock file', async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o755);
	const event = 'seen';
	t.deepEqual(await seenByOther(t, directory), {event, state: 'blocked', found: 'nothing', code: 'EACCES'});
	writeFileSync(join(directory, 's.lock'), '', {mode: 0o600});
	t.deepEqual(await seenByOther(t, directory), {event, state: 'blocked', found: 'nothing', code: 'EACCES'});
	chownSync(join(directory, 's.lock'), otherUid, otherUid);
	t.deepEqual(await seenByOther(t, directory), {event, state: 'blocked', found: 'nothing', code: 'EACCES'});
	chownSync(directory, otherUid, otherUid);
	t.deepEqual(await seenByOther(t, directory), {event, state: 'free', found: 'nothing'});
	await makeStale(join(directory, 's'));
	chownSync(join(directory, 's'), otherUid, otherUid);
	t.deepEqual(await seenByOther(t, directory), {event, state: 'stale', found: 'socket'});
	const lock = await acquire(join(directory, 's'));
	t.deepEqual(await seenByOther(t, directory), {event, state: 'held', found: 'nothing'});
	await lock.release();
});

maybeAsOther('blocked: a stale socket of another user, with or without permission to connect', async t => {
	const directory = temporaryDirectory(t);
	chownSync(directory, otherUid, otherUid);
	await makeStale(join(directory, 's'));
	for (const mode of [0o777, 0o755]) {
		chmodSync(join(directory, 's'), mode);
		const {state, code} = await seenByOther(t, directory);
		const refused = await start(t, 'holder', ['acquire', join(directory, 's')], {uid: otherUid}).expect('refused');
		t.is(refused['code'], 'EPERM');
		t.deepEqual({state, code}, {state: 'blocked', code: 'EPERM'}, `mode ${mode.toString(8)}`);
	}
});

test.serial('inspect makes only calls that read', async t => {
	const directory = temporaryDirectory(t);
	const lock = await acquire(join(directory, 'held'));
	serveNaively(t, join(directory, 'foreign'));
	await makeStale(join(directory, 'stale'));
	writeFileSync(join(directory, 'blocked'), 'precious');
	for (const [name, calls] of Object.entries({
		held: ['lstat', 'peek', 'contention'],
		free: ['lstat', 'checkWritable'],
		blocked: ['lstat', 'checkWritable'],
		foreign: ['lstat', 'checkWritable', 'pin', 'fstat', 'bound', 'close'],
		stale: ['lstat', 'checkWritable', 'pin', 'fstat', 'bound', 'connect', 'hasEnded', 'placeOf', 'close'],
	})) {
		const made = new Set<string>();
		const system = wrap((call, proceed) => {
			made.add(call);
			return proceed();
		});
		t.is((await run(inspectPathname(pathname(join(directory, name)), 0), system)).state, name as 'held');
		t.deepEqual(
			[...made].filter(call => !calls.includes(call)),
			[],
			name,
		);
	}
	await lock.release();
});

test.serial('a socket that is removed during inspect is not stale', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const moment of ['pin', 'connect'] as const) {
		await makeStale(address);
		const leaving = {
			[moment]: (proceed: () => unknown) => {
				unlinkSync(address);
				return proceed();
			},
		};
		const seen = await run(inspectPathname(pathname(address), 0), systemWith(leaving));
		t.true(['free', 'stale'].includes(seen.state), `${moment}: ${seen.state}`);
		t.is(seen.reason, undefined);
	}
});
