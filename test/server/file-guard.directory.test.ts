/**
 * Tests a directory that is moved, removed or replaced while an address in it is held.
 */
import {once} from 'node:events';
import fs, {
	chmodSync,
	chownSync,
	existsSync,
	lstatSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	symlinkSync,
	unlinkSync,
	watch,
	writeFileSync,
} from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {createServer} from 'node:net';
import {basename, join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, type BindLock, type BindLockError, listen} from '../../src/index.js';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {until, withDeadline} from '../helpers/deadlines.js';
import {flockHolders, reach} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {registerUrl} from '../helpers/library.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {makeStaleSync} from '../helpers/sockets.js';

checkLeaks();

/** An address, its directory, and paths to move the directory to. */
interface Place {
	readonly directory: string;
	readonly path: string;
	readonly away: string;
	readonly other: string;
}

function placeIn(t: ExecutionContext): Place {
	const parent = temporaryDirectory(t);
	const directory = join(parent, 'd');
	const [away, other] = [join(parent, 'away'), join(parent, 'other')];
	mkdirSync(directory);
	mkdirSync(other);
	return {directory, path: join(directory, 's'), away, other};
}

/** The same, but the directory is reached by a symbolic link two components further up. */
function placeBehindLink(t: ExecutionContext): Place & {flip(): void} {
	const parent = temporaryDirectory(t);
	for (const version of ['1', '2']) mkdirSync(join(parent, version, 'd'), {recursive: true});
	symlinkSync('1', join(parent, 'current'));
	const directory = join(parent, 'current', 'd');
	const flip = (): void => {
		symlinkSync('2', join(parent, 'next'));
		renameSync(join(parent, 'next'), join(parent, 'current'));
	};
	const [away, other] = [join(parent, '1', 'd'), join(parent, '2', 'd')];
	return {directory, path: join(directory, 's'), away, other, flip};
}

function replace({directory, away, other}: Place): void {
	renameSync(directory, away);
	renameSync(other, directory);
}

async function serve(t: ExecutionContext, path: string, options = {}): Promise<BindLock> {
	const server = createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
	const lock = await listen(server, path, options);
	t.teardown(() => lock.release());
	return lock;
}

async function reasonOf(lock: BindLock): Promise<BindLockError> {
	if (!lock.lostSignal.aborted) await withDeadline(once(lock.lostSignal, 'abort'));
	return lock.lostSignal.reason;
}

/** Waits until the watches are set. They begin with a check, which sees earlier changes. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

const takers = {
	acquire: (_: ExecutionContext, path: string) => acquire(path),
	'listen with heal: false': (t: ExecutionContext, path: string) => serve(t, path, {heal: false}),
} as const;

for (const [taker, take] of Object.entries(takers)) {
	for (const how of ['renamed', 'removed', 'replaced', 'left by a link'] as const) {
		test.serial(`${taker}: a directory that is ${how} is loss of the address`, async t => {
			const behindLink = placeBehindLink(t);
			const place = how === 'left by a link' ? behindLink : placeIn(t);
			const {directory, path, away} = place;
			const lock = await take(t, path);
			t.false(lock.lostSignal.aborted);
			await settled();
			if (how === 'renamed') renameSync(directory, away);
			if (how === 'removed') rmSync(directory, {recursive: true});
			if (how === 'replaced') replace(place);
			if (how === 'left by a link') behindLink.flip();
			const {code, message} = await reasonOf(lock);
			t.is(code, 'ERR_ADDRESS_LOST');
			t.regex(message, /its directory \S+\/d was moved, removed or replaced/);
			t.false(lock.held);
			await lock.release();
			if (how !== 'renamed' && how !== 'removed') t.deepEqual(readdirSync(directory), []);
			if (how !== 'removed') t.is(readFileSync(join(away, 's.lock'), 'utf8'), '');
		});
	}
}

for (const how of ['replaced', 'left by a link'] as const) {
	test.serial(`listen: a directory that is ${how}: the server is locked and bound in the new directory`, async t => {
		const behindLink = placeBehindLink(t);
		const place = how === 'replaced' ? placeIn(t) : behindLink;
		const {path, away} = place;
		const lock = await serve(t, path);
		await settled();
		for (const left of [undefined, 'a dead socket'] as const) {
			const before = lock.healed;
			if (left === undefined) {
				if (how === 'replaced') replace(place);
				else behindLink.flip();
			} else {
				// Replace the directory again: the new watches must see it.
				const {directory, other} = placeIn(t);
				makeStaleSync(join(directory, 's'));
				rmSync(other, {recursive: true});
				renameSync(place.directory, other);
				renameSync(directory, place.directory);
			}
			await until(() => lock.healed === before + 2, 'the healing');
			t.is(await reach(path), process.pid);
			t.true(lock.held);
			if (how === 'replaced') t.deepEqual(flockHolders(`${path}.lock`, [process.pid]), [process.pid]);
			const refused = start(t, 'holder', ['listen', path]);
			t.like(await refused.expect('refused'), {code: 'EADDRINUSE', holder: {pid: process.pid, verified: true}});
			await refused.kill();
		}
		// The files in the old directory are stale.
		const next = await acquire(join(away, 's'));
		t.true(next.reclaimed);
		await next.release();
		await lock.release();
		t.false(existsSync(path));
	});
}

test.serial('listen: a directory that stays missing is loss, and no directory is created', async t => {
	const {directory, path, away} = placeIn(t);
	const lock = await serve(t, path);
	await settled();
	renameSync(directory, away);
	t.is((await reasonOf(lock)).code, 'ERR_ADDRESS_LOST');
	await lock.release();
	t.false(existsSync(directory));
	t.is(lock.healed, 0);
});

for (const [taker, take] of Object.entries({...takers, listen: serve})) {
	test.serial(`${taker}: a directory that comes back after a moment is no loss, and is still watched`, async t => {
		const {directory, path, away} = placeIn(t);
		const lock = await take(t, path);
		t.false(lock.lostSignal.aborted);
		await settled();
		renameSync(directory, away);
		await new Promise(resolve => setTimeout(resolve, 100));
		renameSync(away, directory);
		// Longer than the accepted absence.
		await new Promise(resolve => setTimeout(resolve, 1100));
		t.true(lock.held);
		t.is(lock.healed, 0);
		if (taker === 'listen') {
			unlinkSync(`${path}.lock`);
			await until(() => lock.healed === 1, 'the healing');
		} else {
			renameSync(directory, away);
			t.is((await reasonOf(lock)).code, 'ERR_ADDRESS_LOST');
		}
		await lock.release();
	});
}

test.serial('a release while the directory is missing: no loss, and no file is created when it comes back', async t => {
	const {directory, path, away} = placeIn(t);
	for (const take of [takers.acquire, serve]) {
		const lock = await take(t, path);
		t.false(lock.lostSignal.aborted);
		await settled();
		renameSync(directory, away);
		await new Promise(resolve => setTimeout(resolve, 50));
		await lock.release();
		mkdirSync(directory);
		await new Promise(resolve => setTimeout(resolve, 100));
		t.false(lock.lostSignal.aborted);
		t.deepEqual(readdirSync(directory), []);
		rmSync(away, {recursive: true});
	}
});

for (const mode of ['listen', 'acquire', 'plain']) {
	test.serial(
		`listen: a directory in which another process has the address by ${mode} is loss; its files stay`,
		async t => {
			const place = placeIn(t);
			const lock = await serve(t, place.path);
			await settled();
			const theirs = join(place.other, 's');
			const program = start(t, 'holder', [mode, theirs]);
			await program.expect(mode === 'plain' ? 'listening' : 'held');
			if (mode === 'acquire') {
				program.send('bind');
				await program.expect('listening');
			}
			const socket = lstatSync(theirs).ino;
			const lockFile = lstatSync(`${theirs}.lock`, {throwIfNoEntry: false})?.ino;
			replace(place);
			const {code, cause} = await reasonOf(lock);
			t.is(code, 'ERR_ADDRESS_LOST');
			t.is((cause as BindLockError).code, 'EADDRINUSE');
			await lock.release();
			t.is(lstatSync(place.path).ino, socket);
			t.is(await reach(place.path), program.pid);
			if (lockFile !== undefined) {
				t.is(lstatSync(`${place.path}.lock`).ino, lockFile);
				await t.throwsAsync(acquire(place.path), {code: 'EADDRINUSE'});
			}
			await program.kill();
		},
	);
}

test.serial('a lease does not follow into a new directory', async t => {
	const place = placeIn(t);
	const lock = await serve(t, place.path, {backend: 'lease'});
	await settled();
	replace(place);
	t.is((await reasonOf(lock)).code, 'ERR_ADDRESS_LOST');
	await lock.release();
	t.deepEqual(readdirSync(place.directory), []);
});

test.serial('register heals in the new directory, and warns with BINDLOCK_HEAL=0', async t => {
	for (const heals of ['1', '0']) {
		const place = placeIn(t);
		const options = {nodeOptions: ['--import', registerUrl], env: {BINDLOCK_HEAL: heals}};
		const program = start(t, 'holder', ['plain', place.path], options);
		await program.expect('listening');
		replace(place);
		if (heals === '1') {
			await until(async () => (await reach(place.path)) === program.pid, 'the healing');
			t.deepEqual(flockHolders(`${place.path}.lock`, [program.pid]), [program.pid]);
		} else {
			await until(() => program.stderr.includes('was moved, removed or replaced'), 'the warning');
			t.regex(program.stderr, /BindLockWarning: The address \S+ is lost/);
			t.deepEqual(readdirSync(place.directory), []);
		}
		await program.kill();
	}
});

/** Counts the `lstat` calls for a path until the test ends. */
function countLooks(t: ExecutionContext, path: string): () => number {
	const original = fs.lstatSync;
	let count = 0;
	const counting = (...parameters: Parameters<typeof original>): ReturnType<typeof original> => {
		if (parameters[0] === path) count++;
		return original(...parameters);
	};
	const patch = (lstatSync: object): void => {
		Object.assign(fs, {lstatSync});
		syncBuiltinESMExports();
	};
	patch(counting);
	t.teardown(() => patch(original));
	return () => count;
}

/** Waits until this process has received all earlier events of the directory. */
async function allHeard(directory: string): Promise<void> {
	const watcher = watch(directory);
	const mark = `mark-${process.hrtime.bigint()}`;
	const heard = new Promise<void>(resolve => watcher.on('change', (_, name) => name === mark && resolve()));
	writeFileSync(join(directory, mark), '');
	unlinkSync(join(directory, mark));
	await withDeadline(heard);
	watcher.close();
}

test.serial('in a busy directory the guard does not check on each event', async t => {
	const {directory, path} = placeIn(t);
	const lock = await serve(t, path);
	await settled();
	const looks = countLooks(t, path);
	const began = performance.now();
	for (let round = 0; round < 10; round++) {
		for (let file = 0; file < 300; file++) {
			writeFileSync(join(directory, String(file)), 'x');
			rmSync(join(directory, String(file)));
		}
		await allHeard(directory);
	}
	const seconds = (performance.now() - began) / 1000;
	t.log(`${looks()} checks in ${seconds.toFixed(1)} s`);
	t.true(looks() <= 1 + seconds);
	await lock.release();
});

test.serial('an inotify queue overflow does not hide a loss', async t => {
	const {directory, path} = placeIn(t);
	const lock = await acquire(path);
	t.false(lock.lostSignal.aborted);
	await settled();
	const most = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
	// The event loop is blocked here. With a larger limit the queue does not overflow.
	for (let file = 0; file < Math.min(most, 50_000); file++) {
		writeFileSync(join(directory, 'x'), '');
		unlinkSync(join(directory, 'x'));
	}
	unlinkSync(`${path}.lock`);
	t.is((await reasonOf(lock)).code, 'ERR_LOCK_LOST');
	await lock.release();
});

test.serial('a directory that the program also watches by another name is guarded', async t => {
	const {directory, path, away} = placeIn(t);
	const watcher = watch(`${directory}/../${basename(directory)}/.`);
	t.teardown(() => watcher.close());
	const lock = await acquire(path);
	t.false(lock.lostSignal.aborted);
	await settled();
	renameSync(directory, away);
	t.is((await reasonOf(lock)).code, 'ERR_ADDRESS_LOST');
	await lock.release();
	watcher.close();
});

test.serial('a changed mode of the directory is no loss', async t => {
	const {directory, path} = placeIn(t);
	const lock = await serve(t, path);
	await settled();
	const looks = countLooks(t, path);
	chmodSync(directory, 0o500);
	chmodSync(directory, 0o700);
	await allHeard(directory);
	t.is(looks(), 0);
	await lock.release();
});

testUnless(noOtherUser())('an unreadable directory is polled, without a warning', async t => {
	const place = placeIn(t);
	for (const one of [place.directory, place.other]) {
		chownSync(one, otherUid, otherUid);
		chmodSync(one, 0o300);
	}
	chmodSync(join(place.directory, '..'), 0o755);
	const program = start(t, 'holder', ['listen', place.path], {uid: otherUid});
	await program.expect('held');
	replace(place);
	await until(async () => (await reach(place.path)) === program.pid, 'the healing');
	t.is(program.stderr, '');
	await program.kill();
});
