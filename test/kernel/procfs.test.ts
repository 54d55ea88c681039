/**
 * Looking at processes: who they are and what they have open, without touching anything.
 */
import {execFileSync} from 'node:child_process';
import {closeSync, openSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {
	allProcesses,
	confirmed,
	describeProcess,
	descriptorsOf,
	freeDescriptors,
	isRunning,
	processOf,
	readProc,
	signalProcess,
} from '../../src/kernel/procfs.js';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {checkLeaks} from '../helpers/leaks.js';
import {deadlineMs, startCommand, temporaryDirectory, until} from '../helpers/programs.js';

checkLeaks();

const nobody = 4_194_999;

/** Two clocks of the kernel, one with ticks of 10 ms and a start in whole seconds. */
const roundingMs = 2000;

test.serial('this process', t => {
	const holder = describeProcess(process.pid);
	t.like(holder, {pid: process.pid, uid: process.geteuid?.(), verified: false});
	t.deepEqual(confirmed(processOf(process.pid)), {...holder, verified: true});
	t.true(holder?.command?.startsWith(`${process.argv0} `) || holder?.command?.includes('node'), holder?.command);
	const started = Date.now() - process.uptime() * 1000;
	t.true(Math.abs((holder?.since?.getTime() ?? 0) - started) < roundingMs, String(holder?.since));
});

test.serial('a given time goes before that of the start', t => {
	t.deepEqual(describeProcess(process.pid, new Date(5))?.since, new Date(5));
});

test.serial('nobody: undefined, nothing or false, and no error', t => {
	t.is(describeProcess(nobody), undefined);
	t.is(describeProcess(-1), undefined);
	t.false(isRunning(nobody));
	t.is(readProc(`/proc/${nobody}/stat`), undefined);
	t.deepEqual([...descriptorsOf([nobody, -1], () => true)], []);
	t.false(allProcesses().includes(nobody));
});

test.serial('as many descriptors are free as can be opened', t => {
	const free = freeDescriptors();
	const opened = [0, 1, 2].map(() => openSync('/dev/null', 'r'));
	t.is(freeDescriptors(), free - 3);
	for (const descriptor of opened) closeSync(descriptor);
	t.is(freeDescriptors(), free);
	const module = new URL('../../src/kernel/procfs.js', import.meta.url);
	const script = `import {openSync} from 'node:fs';
		import {freeDescriptors} from ${JSON.stringify(module)};
		const free = freeDescriptors();
		let count = 0;
		try { for (;; count++) openSync('/dev/null', 'r'); } catch {}
		console.log(free, count);`;
	const args = ['-c', 'ulimit -n 100 && exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script];
	const [counted, found] = execFileSync('sh', args, {encoding: 'utf8'}).trim().split(' ');
	t.is(counted, found);
	t.true(Number(counted) > 50, counted);
});

test.serial('a process runs until it exits, and not until its parent hears of it', async t => {
	const program = startCommand(t, 'sh', ['-c', 'echo on; read line']);
	await program.expect('line');
	t.true(isRunning(program.pid));
	program.signal('SIGKILL');
	const deadline = performance.now() + deadlineMs;
	// Without a turn of the event loop, in which Node would ask for its status.
	while (isRunning(program.pid) && performance.now() < deadline);
	t.false(isRunning(program.pid));
	t.not(readProc(`/proc/${program.pid}/stat`), undefined);
});

test.serial('a program and its script, not what may be secret', async t => {
	const script = join(temporaryDirectory(t), 'Zürich"🔒".js');
	writeFileSync(script, 'console.log("on"); process.stdin.resume()');
	const program = startCommand(t, process.execPath, ['--no-warnings', script, '--password=hunter2', 'hunter2', '']);
	await program.expect('line');
	t.like(describeProcess(program.pid), {pid: program.pid, command: `${process.execPath} ${script}`});
});

test.serial('a title that a process gives itself, with spaces and a newline', async t => {
	const title = 'app: worker\nZürich';
	const script = 'process.title = process.argv[1]; console.log("on"); process.stdin.resume()';
	const program = startCommand(t, process.execPath, ['-e', script, title, 'hunter2'.repeat(10)]);
	await program.expect('line');
	t.is(describeProcess(program.pid)?.command, title);
});

test.serial('a program whose name looks like the fields after it', async t => {
	const directory = temporaryDirectory(t);
	const name = join(directory, 'x) S 1 2 (3');
	symlinkSync(process.execPath, name);
	const program = startCommand(t, name, ['-e', 'console.log("on"); process.stdin.resume()']);
	await program.expect('line');
	const since = describeProcess(program.pid)?.since?.getTime() ?? 0;
	t.true(Math.abs(Date.now() - since) < 20_000, new Date(since).toISOString());
});

test.serial(
	'a process that has the pid of one before it is not confirmed, and gets no signal in its place',
	async t => {
		const program = startCommand(t, 'sh', ['-c', 'echo on; read line']);
		await program.expect('line');
		const {pid} = program;
		const earlier = {pid, start: '1'};
		t.is(confirmed(earlier), undefined);
		t.is(
			signalProcess(pid, 'SIGKILL', () => true, earlier),
			undefined,
		);
		t.is(
			signalProcess(pid, 'SIGKILL', () => false),
			undefined,
		);
		t.true(isRunning(pid));
		t.deepEqual(
			signalProcess(pid, 'SIGTERM', () => true, processOf(pid)),
			processOf(pid),
		);
		t.is((await program.exited).signal, 'SIGTERM');
	},
);

testUnless(noOtherUser())('a process of another user', async t => {
	const program = startCommand(t, 'sh', ['-c', 'echo on; read line'], {uid: otherUid});
	await program.expect('line');
	t.like(describeProcess(program.pid), {pid: program.pid, uid: otherUid, command: 'sh'});
});

test.serial('a zombie has no command line, and is still no reason to fail', async t => {
	// The shell starts a child, and becomes a program that never asks how it ended.
	const program = startCommand(t, 'sh', ['-c', 'sleep 20 & echo $!; exec cat']);
	const {line} = await program.expect('line');
	const zombie = Number(line);
	await until(() => describeProcess(program.pid)?.command === 'cat', 'another program in place of the shell');
	process.kill(zombie, 'SIGKILL');
	await until(() => /\) Z /.test(readProc(`/proc/${zombie}/stat`) ?? ''), 'a zombie');
	t.notThrows(() => describeProcess(zombie));
	t.deepEqual([...descriptorsOf([zombie], () => true)], []);
	t.true(allProcesses().includes(program.pid));
});

test.serial('descriptors of a process, by what they lead to', t => {
	const path = join(temporaryDirectory(t), 'file');
	const descriptor = openSync(path, 'w');
	const found = {...processOf(process.pid), fd: descriptor};
	t.deepEqual([...descriptorsOf([process.pid], target => target === path)], [found]);
	t.deepEqual([...descriptorsOf(allProcesses(), target => target === path)], [found]);
	closeSync(descriptor);
	t.deepEqual([...descriptorsOf([process.pid], target => target === path)], []);
});

test.serial('a file larger than the buffer is read to its end, byte for byte', t => {
	const path = join(temporaryDirectory(t), 'file');
	const bytes = Buffer.alloc(200_000, 'Zürich ');
	writeFileSync(path, bytes);
	t.is(readProc(path, true), bytes.toString('latin1'));
	t.true(bytes.toString('latin1').startsWith(readProc(path) ?? 'x'));
	writeFileSync(path, '');
	t.is(readProc(path, true), '');
	t.is(readProc(path), '');
});
