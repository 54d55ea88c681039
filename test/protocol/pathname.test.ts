/**
 * Tests interleavings on the real kernel: each test acts between two named calls of the protocol.
 */

import {spawnSync} from 'node:child_process';
import {
	chmodSync,
	chownSync,
	closeSync,
	existsSync,
	mkdirSync,
	openSync,
	renameSync,
	statSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, BindLockError, listen} from '../../src/index.js';
import {loadFlock} from '../../src/kernel/flock/choice.js';
import type {System} from '../../src/model/system.js';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {flockHolders, makeStale, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {notRoot, start, temporaryDirectory} from '../helpers/programs.js';
import {giveBack, once, systemWith, takeSync, takeWith, wrap} from '../helpers/protocol.js';
import {makeStaleSync, serveNaively} from '../helpers/sockets.js';
import {contentOf, inodeOf, namesIn} from '../helpers/tree.js';

checkLeaks();

/** A system that runs an action right before the first call of that name. */
function interrupted(moment: keyof System, action: () => void): System {
	const act = once(action);
	return wrap((name, proceed) => {
		if (name === moment) act();
		return proceed();
	});
}

for (const moment of ['fstat', 'flock', 'lstat'] as const) {
	test.serial(
		`R1: the lock file is unlinked before our ${moment}: we get the lock of the file at the path`,
		async t => {
			const address = join(temporaryDirectory(t), 's');
			const holder = takeSync(address);
			if (moment === 'lstat') giveBack(address, holder);
			const system = interrupted(moment, () => {
				if (moment === 'lstat') unlinkSync(`${address}.lock`);
				else giveBack(address, holder, {removeLockFile: true});
			});
			const ours = await takeWith(system, address);
			t.is(BigInt(ours.file.ino), inodeOf(`${address}.lock`));
			await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
			giveBack(address, ours);
		},
	);

	test.serial(`R1: the lock file is replaced and locked before our ${moment}: we are refused`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		const holder = takeSync(address);
		if (moment === 'lstat') giveBack(address, holder);
		let newcomer = holder;
		const system = interrupted(moment, () => {
			if (moment === 'lstat') unlinkSync(`${address}.lock`);
			else giveBack(address, holder, {removeLockFile: true});
			newcomer = takeSync(address);
		});
		await t.throwsAsync(takeWith(system, address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
		t.not(newcomer, holder);
		t.is(inodeOf(`${address}.lock`), BigInt(newcomer.file.ino));
		await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'}, 'the newcomer still has the lock');
		giveBack(address, newcomer);
		t.deepEqual(namesIn(directory), ['s.lock']);
	});
}

test.serial('the lock of an orphaned inode refuses no newcomer', async t => {
	const address = join(temporaryDirectory(t), 's');
	const robbed = takeSync(address);
	const ours = await takeWith(
		interrupted('flock', () => unlinkSync(`${address}.lock`)),
		address,
	);
	t.is(BigInt(ours.file.ino), inodeOf(`${address}.lock`));
	giveBack(address, robbed, {removeLockFile: true});
	t.is(
		BigInt(ours.file.ino),
		inodeOf(`${address}.lock`),
		'on release, a holder whose lock file was replaced removes only its own file',
	);
	giveBack(address, ours);
});

test.serial('R2: if the lock file of a live server was removed, its socket stays', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const server = start(t, 'holder', ['listen', address, '{"heal":false}']);
	await server.expect('held');
	const inode = inodeOf(address);
	unlinkSync(`${address}.lock`);
	for (let attempt = 0; attempt < 2; attempt++) {
		const error = await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
		t.like(error?.holder, {pid: server.pid, verified: true});
	}
	t.is(inodeOf(address), inode);
	t.is(await reach(address), server.pid);
	t.deepEqual(namesIn(directory), ['s'], 'a new lock file is removed');
});

test.serial('a lock file that is replaced again and again is ERR_LOCK_UNSTABLE', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const system = systemWith({
		flock(proceed) {
			unlinkSync(`${address}.lock`);
			return proceed();
		},
	});
	const error = await t.throwsAsync(takeWith(system, address), {instanceOf: BindLockError, code: 'ERR_LOCK_UNSTABLE'});
	t.like(error, {path: `${address}.lock`, syscall: 'flock'});
	t.deepEqual(namesIn(directory), []);
});

test.serial('two processes create the lock file at once: the second uses the file of the first', async t => {
	const address = join(temporaryDirectory(t), 's');
	const ours = await takeWith(
		systemWith({
			openLockFile(proceed, path, create) {
				if (create) writeFileSync(path, '', {flag: 'a', mode: 0o644});
				return proceed();
			},
		}),
		address,
	);
	t.is(statSync(`${address}.lock`).mode & 0o777, 0o644);
	giveBack(address, ours);
});

const occupants: Readonly<Record<string, (path: string) => unknown>> = {
	'an empty file': path => writeFileSync(path, ''),
	'a file with content': path => writeFileSync(path, 'precious'),
	'an empty directory': path => mkdirSync(path),
	'a directory with a socket in it': async path => {
		mkdirSync(path);
		await makeStale(join(path, 's'));
	},
	'a symbolic link to a stale socket': async path => {
		await makeStale(`${path}.target`);
		symlinkSync(`${path}.target`, path);
	},
	'a symbolic link to nothing': path => symlinkSync(`${path}.target`, path),
	'a FIFO': path => spawnSync('mkfifo', [path]),
};

async function staysAsItIs(t: ExecutionContext, make: (path: string) => unknown): Promise<void> {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await make(address);
	const before = contentOf(directory);
	t.true(before.some(({name}) => name === 's'));
	for (const attempt of [acquire(address), listen(createServer(), address)]) {
		const error = await t.throwsAsync(attempt, {instanceOf: BindLockError, code: 'ENOTSOCK'});
		t.like(error, {address, syscall: 'bind', errno: -88});
	}
	t.deepEqual(contentOf(directory), before);
}

for (const [what, make] of Object.entries(occupants)) {
	test.serial(`R3: ${what} at the address is ENOTSOCK, and stays`, t => staysAsItIs(t, make));
}

testUnless(notRoot)('R3: a device at the address is ENOTSOCK, and stays', t =>
	staysAsItIs(t, path => spawnSync('mknod', [path, 'c', '1', '3'])),
);

testUnless(noOtherUser())('a stale socket of another user is EPERM, and stays; root may reclaim it', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await makeStale(address);
	chownSync(directory, otherUid, otherUid);
	const before = contentOf(directory);
	const refused = await start(t, 'holder', ['acquire', address], {uid: otherUid}).expect('refused');
	t.like(refused, {code: 'EPERM', errno: -1, syscall: 'unlink', ours: true});
	t.deepEqual(contentOf(directory), before);

	chownSync(address, otherUid, otherUid);
	const lock = await acquire(address);
	t.true(lock.reclaimed);
	await lock.release();
});

testUnless(noOtherUser())('a socket without permission to connect is EACCES, and stays', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await makeStale(address);
	for (const path of [directory, address]) chownSync(path, otherUid, otherUid);
	chmodSync(address, 0o000);
	const before = contentOf(directory);
	const refused = await start(t, 'holder', ['acquire', address], {uid: otherUid}).expect('refused');
	t.like(refused, {code: 'EACCES', syscall: 'connect', ours: true});
	t.deepEqual(contentOf(directory), before);
});

const moments = ['pin', 'fstat', 'bound', 'connect', 'second lstat'] as const;

/** A system that runs an action at a moment of the probe of that address. */
function atMoment(moment: (typeof moments)[number] | 'unlink', address: string, action: () => void): System {
	const act = once(action);
	let looks = 0;
	let pinned = false;
	return wrap((name, proceed, [path]) => {
		if (name === 'lstat' && path === address) looks++;
		if (name === 'pin') pinned = true;
		if (moment === 'second lstat' ? looks === 2 : name === moment && (name !== 'fstat' || pinned)) act();
		return proceed();
	});
}

for (const moment of moments) {
	test.serial(`a stale socket is replaced by a live server before our ${moment}: the live socket stays`, async t => {
		const address = join(temporaryDirectory(t), 's');
		await makeStale(address);
		const stale = inodeOf(address);
		let fresh = stale;
		const system = atMoment(moment, address, () => {
			unlinkSync(address);
			serveNaively(t, address);
			fresh = inodeOf(address);
		});
		await t.throwsAsync(takeWith(system, address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
		t.is(inodeOf(address), fresh);
		if (moment !== 'pin') t.not(fresh, stale, 'the number of a pinned inode is not reused');
		t.true(Number.isNaN(await reach(address)), 'the server answers, without a pid');
	});
}

for (const moment of [...moments, 'unlink'] as const) {
	test.serial(`a stale socket is removed by another process before our ${moment}: we take the address`, async t => {
		const address = join(temporaryDirectory(t), 's');
		await makeStale(address);
		const taken = await takeWith(
			atMoment(moment, address, () => unlinkSync(address)),
			address,
		);
		t.false(taken.reclaimed, 'another process has removed it');
		giveBack(address, taken);
	});
}

test.serial('a stale socket is replaced by a file before the second lstat: the file stays', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const system = atMoment('second lstat', address, () => {
		unlinkSync(address);
		writeFileSync(address, 'precious');
	});
	await t.throwsAsync(takeWith(system, address), {code: 'ENOTSOCK'});
	t.is(statSync(address).size, 'precious'.length);
});

test.serial('a socket that is replaced again and again is ERR_ADDRESS_UNSTABLE, and the last one stays', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await makeStale(address);
	let last = inodeOf(address);
	const system = systemWith({
		connect(proceed) {
			makeStaleSync(`${address}.new`);
			renameSync(`${address}.new`, address);
			last = inodeOf(address);
			return proceed();
		},
	});
	const error = await t.throwsAsync(takeWith(system, address), {
		instanceOf: BindLockError,
		code: 'ERR_ADDRESS_UNSTABLE',
	});
	t.is(error?.address, address);
	t.is(inodeOf(address), last);
	t.deepEqual(namesIn(directory), ['s']);
});

for (const [answer, code, message] of [
	['CONNECTED', 'EADDRINUSE', /accepts connections there/],
	['EAGAIN', 'EADDRINUSE', /full backlog/],
	['EPROTOTYPE', 'EADDRINUSE', /datagram or seqpacket/],
	['ETIMEDOUT', 'EADDRINUSE', /neither accepted nor refused/],
	['EACCES', 'EACCES', /Cannot tell/],
	['EMFILE', 'EMFILE', /Cannot tell/],
	['ENFILE', 'ENFILE', /Cannot tell/],
	['ENOMEM', 'ENOMEM', /Cannot tell/],
	['ENOBUFS', 'ENOBUFS', /Cannot tell/],
	['ENAMETOOLONG', 'ENAMETOOLONG', /Cannot tell/],
	['EIO', 'EIO', /Cannot tell/],
	['UNKNOWN', 'UNKNOWN', /Cannot tell/],
] as const) {
	test.serial(`R8: only a refused connection means dead, not ${answer}`, async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 's');
		await makeStale(address);
		const before = contentOf(directory);
		const error = await t.throwsAsync(takeWith(systemWith({connect: () => answer}), address), {code, message});
		t.true(error instanceof BindLockError);
		t.deepEqual(contentOf(directory), before);
	});
}

test.serial(
	'the lock file is removed during the probe: the new lock file is locked, and the socket is reclaimed',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		await makeStale(address);
		const system = atMoment('connect', address, () => unlinkSync(`${address}.lock`));
		const taken = await takeWith(system, address);
		t.true(taken.reclaimed);
		t.false(existsSync(address));
		t.deepEqual(flockHolders(`${address}.lock`, [process.pid]), [process.pid]);
		giveBack(address, taken);
	},
);

test.serial('the lock file is removed and taken during the probe: refused, and no socket is unlinked', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const stale = inodeOf(address);
	let other: number | undefined;
	const system = atMoment('connect', address, () => {
		unlinkSync(`${address}.lock`);
		other = openSync(`${address}.lock`, 'wx');
		loadFlock(address)(other);
	});
	await t.throwsAsync(takeWith(system, address), {code: 'EADDRINUSE'});
	t.is(inodeOf(address), stale);
	closeSync(other ?? -1);
});
