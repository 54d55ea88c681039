/**
 * Tests the resolution of paths of other processes: as the kernel does it, but never onto a mount that may hang.
 */
import {mkdirSync, realpathSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type ReachOptions, reachable, statReachable} from '../../../src/kernel/mounts/reachable.js';
import {noMounts, noPython, python, testUnless} from '../../helpers/abilities.js';
import {runToEnd} from '../../helpers/command.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {hang, mountByFuse, noFuse} from '../../helpers/mounts.js';
import {notRoot, startCommand, temporaryDirectory} from '../../helpers/programs.js';

checkLeaks();

/** `real/file`, and links to it. */
function makeTree(t: ExecutionContext): string {
	const directory = realpathSync(temporaryDirectory(t));
	mkdirSync(join(directory, 'real'));
	writeFileSync(join(directory, 'real/file'), '');
	symlinkSync('real', join(directory, 'link'));
	symlinkSync(join(directory, 'real/file'), join(directory, 'absolute'));
	symlinkSync('loop', join(directory, 'loop'));
	return directory;
}

test.serial('a path is resolved as the kernel does it, and returned without symbolic links', t => {
	const directory = makeTree(t);
	const file = join(directory, 'real/file');
	const {ino} = statSync(file, {bigint: true});
	for (const path of ['real/file', 'link/file', 'absolute', 'link/../real//./file', 'link/../link/../absolute']) {
		t.is(reachable('self', `${directory}/${path}`), file, path);
		t.is(statReachable('self', `${directory}/${path}`)?.ino, ino, path);
	}
	t.is(reachable('self', '/../..'), '/');
	t.is(reachable('self', `/..${file}`), file);
	t.is(reachable('self', `/proc/self/root${directory}/link/file`), `/proc/self/root${file}`);
});

test.serial('with follow: false a link in the last component is not followed', t => {
	const directory = makeTree(t);
	const link = join(directory, 'link');
	t.is(reachable('self', link, {follow: false}), link);
	t.true(statReachable('self', link, {follow: false})?.isSymbolicLink());
	t.true(statReachable('self', link)?.isDirectory());
});

test.serial('a path of a missing file is returned, too', t => {
	const directory = makeTree(t);
	t.is(reachable('self', `${directory}/link/none/x`), `${directory}/real/none/x`);
	t.is(reachable('self', `${directory}/link/file/x`), `${directory}/real/file/x`);
	t.is(statReachable('self', `${directory}/link/none/x`), undefined);
});

test.serial('link loops and very long paths are not resolved', t => {
	const directory = makeTree(t);
	t.is(reachable('self', join(directory, 'loop')), undefined);
	t.is(reachable('self', `${directory}/${'real/../'.repeat(1000)}`), undefined);
});

test.serial('a process that has ended', t => {
	t.is(reachable(4_194_999, '/'), undefined);
	t.is(reachable(4_194_999, 'x'), undefined);
});

const script = 'echo up; read line';

test.serial('a relative path of another process, and one below its /proc/self', async t => {
	const directory = makeTree(t);
	const {pid} = await started(t, ['sh', '-c', `exec 7<real; ${script}`], directory);
	const {ino} = statSync(join(directory, 'real/file'), {bigint: true});
	t.is(reachable(pid, 'link/file'), `/proc/${pid}/cwd/real/file`);
	for (const path of [
		'link/file',
		'absolute',
		'/proc/self/cwd/link/file',
		'/dev/fd/7/file',
		`/proc/${pid}/fd/7/file`,
	]) {
		t.is(statReachable(pid, path)?.ino, ino, path);
	}
	t.is(statReachable(pid, '/proc/self/fd/7/../absolute')?.ino, ino);
	t.is(reachable(pid, 'absolute'), `/proc/${pid}/root${directory}/real/file`);
});

testUnless(notRoot, noPython())('links do not lead out of the root of a process', async t => {
	const directory = makeTree(t);
	symlinkSync('/../file', join(directory, 'real/inner'));
	const {ino} = statSync(join(directory, 'real/file'), {bigint: true});
	const chroot = `import os, sys; os.chroot(sys.argv[1]); os.chdir('/'); print('up', flush=True); sys.stdin.read()`;
	const {pid} = await started(t, [python, '-c', chroot, join(directory, 'real')], directory);
	t.is(statReachable(pid, '/inner')?.ino, ino);
	t.is(statReachable(pid, '/../../file')?.ino, ino);
	t.is(statReachable(pid, join(directory, 'real/file')), undefined);
});

testUnless(noMounts())('a process in another mount namespace has other files', async t => {
	const directory = makeTree(t);
	const mounted = `mount -t tmpfs none '${directory}/real' && touch '${directory}/real/new' && ${script}`;
	const {pid} = await started(t, ['unshare', '--mount', 'sh', '-c', mounted], directory);
	t.is(statReachable(pid, `${directory}/link/file`), undefined);
	t.true(statReachable(pid, `${directory}/link/new`)?.isFile());
});

testUnless(noMounts())('an overlay counts as safe in our own mount namespace only', async t => {
	const directory = makeTree(t);
	const file = join(directory, 'merged/file');
	for (const name of ['lower', 'merged']) mkdirSync(join(directory, name));
	const layers = `lowerdir=${directory}/real:${directory}/lower`;
	const before = ['unshare', '--mount', 'sh', '-c', `mount -t overlay -o ${layers} none '${directory}/merged' && "$@"`];
	const {pid} = await started(t, [...before, 'sh', 'sh', '-c', script], directory);
	t.is(reachable(pid, file), undefined);
	t.deepEqual(await reached('self', [file], {}, [...before, 'sh']), [file]);
});

testUnless(noFuse())('no path leads onto a mount that hangs, unless its device is given', async t => {
	const directory = makeTree(t);
	const mirror = join(directory, 'mirror');
	const fuse = await mountByFuse(t, join(directory, 'real'), mirror);
	symlinkSync('mirror/file', join(directory, 'onto'));
	symlinkSync(mirror, join(directory, 'to'));
	const {pid} = await started(t, ['sh', '-c', `exec 7<mirror; cd mirror; ${script}`], directory);
	const {dev} = statSync(mirror);
	hang(t, fuse);
	const onto = ['mirror', 'mirror/file', 'mirror/..', 'onto', 'to', 'to/file', 'to/../real/file'];
	const paths = onto.map(path => `${directory}/${path}`);
	const viaUs = `/proc/${process.pid}/root${mirror}`;
	const magic = [`/proc/${pid}/cwd`, `/proc/${pid}/fd/7`, `/proc/${pid}/fd/7/file`];
	t.deepEqual(
		await reached('self', [...paths, viaUs, ...magic]),
		[...paths, viaUs, ...magic].map(() => null),
	);
	t.deepEqual(await reached(pid, ['file', '.', '../real/file', '/dev/fd/7/file', ...paths]), [
		null,
		null,
		null,
		null,
		...paths.map(() => null),
	]);
	t.deepEqual(await reached('self', [join(directory, 'link/file')]), [join(directory, 'real/file')]);
	t.deepEqual(await reached('self', [join(directory, 'onto')], {follow: false}), [join(directory, 'onto')]);
	fuse.signal('SIGCONT');
	t.deepEqual(await reached('self', [join(directory, 'onto')], {devices: [`${dev >> 8}:${dev & 0xff}`]}), [
		join(mirror, 'file'),
	]);
});

/** Runs in a process of its own: if the walk hangs, that process hangs. */
async function reached(
	pid: number | 'self',
	paths: readonly string[],
	options: ReachOptions = {},
	before: readonly string[] = [],
): Promise<unknown> {
	const module = new URL('../../../src/kernel/mounts/reachable.js', import.meta.url);
	const each = `path => reachable(${JSON.stringify(pid)}, path, ${JSON.stringify(options)}) ?? null`;
	const program = `import {reachable} from ${JSON.stringify(module)};
		console.log(JSON.stringify(${JSON.stringify(paths)}.map(${each})));`;
	const {stdout, stderr} = await runToEnd(process.execPath, ['--input-type=module', '-e', program], {before});
	return stdout === '' ? stderr : JSON.parse(stdout);
}

async function started(t: ExecutionContext, [command = '', ...args]: string[], cwd: string): Promise<{pid: number}> {
	const program = startCommand(t, command, args, {cwd});
	await program.expect('line');
	return program;
}
