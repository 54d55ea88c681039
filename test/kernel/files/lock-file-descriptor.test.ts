/**
 * Tests the owner of a lock file that root creates, so that the user of the service can open it.
 */
import {chownSync, closeSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, unlinkSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire, listen} from '../../../src/index.js';
import {createLockFile} from '../../../src/kernel/files/lock-file-descriptor.js';
import {noMounts, noOtherUser, otherUid, testUnless} from '../../helpers/abilities.js';
import {bindlock} from '../../helpers/command.js';
import {until} from '../../helpers/deadlines.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {notRoot, start, startCommand, temporaryDirectory} from '../../helpers/programs.js';
import {makeStaleSync} from '../../helpers/sockets.js';

checkLeaks();

const asRoot = testUnless(noOtherUser());

/** Not the primary group of the user: owner and group must both come from the directory. */
const otherGid = otherUid + 1;

/** Creates a directory of another user. */
function othersDirectory(t: ExecutionContext): string {
	const directory = temporaryDirectory(t);
	chownSync(directory, otherUid, otherGid);
	return directory;
}

/** Starts and ends a service as that user. */
async function serviceStarts(t: ExecutionContext, address: string): Promise<void> {
	const service = start(t, 'holder', ['listen', address], {uid: otherUid});
	await service.expect('held');
	service.send('release');
	await service.expect('released');
	await service.kill();
}

const rootsUses: Readonly<Record<string, (t: ExecutionContext, address: string) => Promise<unknown>>> = {
	async listen(t, address) {
		const server = start(t, 'holder', ['listen', address]);
		await server.expect('held');
		server.send('exit');
		t.is((await server.exited).code, 0);
	},
	acquire: async (_, address) => (await acquire(address)).release(),
	'bindlock run': async (t, address) => t.is((await bindlock(['run', address, '--', 'true'])).status, 0),
	async 'bindlock reclaim and doctor'(t, address) {
		makeStaleSync(address);
		t.is((await bindlock(['reclaim', address])).status, 0);
		t.false(existsSync(`${address}.lock`));
		await bindlock(['doctor', address]);
		(await acquire(address)).release();
	},
};

for (const [what, use] of Object.entries(rootsUses)) {
	asRoot(`after ${what} as root the service starts as its own user`, async t => {
		const address = join(othersDirectory(t), 's');
		await use(t, address);
		t.like(statSync(`${address}.lock`), {uid: otherUid, gid: otherGid, size: 0, mode: 0o100600});
		await serviceStarts(t, address);
	});
}

asRoot('a lock file that root heals belongs to the owner of the directory', async t => {
	const address = join(othersDirectory(t), 's');
	const lock = await listen(createServer(), address);
	t.teardown(() => lock.release());
	unlinkSync(`${address}.lock`);
	await until(() => lock.healed === 1, 'the new lock file');
	t.like(statSync(`${address}.lock`), {uid: otherUid, gid: otherGid});
	await lock.release();
	await serviceStarts(t, address);
});

testUnless(notRoot)(
	'a lock file in a directory of root belongs to root, also through a link of another user',
	async t => {
		const directory = temporaryDirectory(t);
		const others = othersDirectory(t);
		symlinkSync(directory, join(others, 'link'));
		for (const address of [join(directory, 'direct'), join(others, 'link', 'linked')]) {
			await (await acquire(address)).release();
			t.like(statSync(`${address}.lock`), {uid: 0, gid: 0});
		}
	},
);

asRoot('TOCTOU: while a part of the path is replaced, no file in a directory of root gets another owner', async t => {
	const roots = temporaryDirectory(t);
	const others = othersDirectory(t);
	mkdirSync(join(others, 'own'));
	chownSync(join(others, 'own'), otherUid, otherUid);
	const script = `const {renameSync, symlinkSync} = require('node:fs');
		const [link, ...targets] = process.argv.slice(1);
		for (let round = 0; ; round++) {
			symlinkSync(targets[round % 2], link + '.new');
			renameSync(link + '.new', link);
			if (round === 1) console.log('swapping');
		}`;
	const link = join(others, 'link');
	const swapper = startCommand(t, process.execPath, ['-e', script, link, roots, join(others, 'own')], {uid: otherUid});
	await swapper.expect('line');
	for (let round = 0; round < 3000; round++) closeSync(createLockFile(join(link, `${round}`), 0o600));
	await swapper.kill();
	const made = readdirSync(roots);
	t.true(made.length > 0 && made.length < 3000, `${made.length} files`);
	t.deepEqual(
		made.filter(name => statSync(join(roots, name)).uid !== 0),
		[],
	);
});

asRoot('without CAP_CHOWN or /proc the lock works', async t => {
	const withoutProc = ['unshare', '--mount', 'sh', '-c', 'umount -l /proc && exec "$@"', 'sh'];
	const ways = [['setpriv', '--bounding-set', '-chown'], ...(noMounts() === undefined ? [withoutProc] : [])];
	for (const before of ways) {
		const address = join(othersDirectory(t), 's');
		const holder = start(t, 'holder', ['acquire', address], {before});
		await holder.expect('held');
		t.is(statSync(`${address}.lock`).uid, 0);
		await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
		await holder.kill();
	}
});

test.serial('an existing file: EEXIST', t => {
	const path = join(temporaryDirectory(t), 's.lock');
	closeSync(createLockFile(path, 0o600));
	t.throws(() => createLockFile(path, 0o600), {code: 'EEXIST'});
	if (notRoot !== undefined) return;
	const others = join(othersDirectory(t), 's.lock');
	closeSync(createLockFile(others, 0o600));
	t.throws(() => createLockFile(others, 0o600), {code: 'EEXIST'});
});
