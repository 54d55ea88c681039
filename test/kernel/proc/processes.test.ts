/**
 * Tests the identity and state of processes, and signals to them.
 */
import {symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {descriptorsOf} from '../../../src/kernel/proc/process-descriptors.js';
import {
	allProcesses,
	confirmed,
	describeProcess,
	isRunning,
	processOf,
	signalProcess,
} from '../../../src/kernel/proc/processes.js';
import {readProc} from '../../../src/kernel/proc/procfs.js';
import {noOtherUser, otherUid, testUnless} from '../../helpers/abilities.js';
import {isLate, until} from '../../helpers/deadlines.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {startCommand, temporaryDirectory} from '../../helpers/programs.js';

checkLeaks();

/** Larger than every pid that Linux assigns. */
const unusedPid = 4_194_999;

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

test.serial('a given time replaces the start time', t => {
	t.deepEqual(describeProcess(process.pid, new Date(5))?.since, new Date(5));
});

test.serial('a pid that no process has: undefined, empty or false, and no error', t => {
	t.is(describeProcess(unusedPid), undefined);
	t.is(describeProcess(-1), undefined);
	t.false(isRunning(unusedPid));
	t.is(readProc(`/proc/${unusedPid}/stat`), undefined);
	t.deepEqual([...descriptorsOf([unusedPid, -1], () => true)], []);
	t.false(allProcesses().includes(unusedPid));
});

test.serial('a process runs until it exits, even if its parent has not reaped it', async t => {
	const program = startCommand(t, 'sh', ['-c', 'echo on; read line']);
	await program.expect('line');
	t.true(isRunning(program.pid));
	program.signal('SIGKILL');
	const began = performance.now();
	// No turn of the event loop, in which Node would reap the process.
	while (isRunning(program.pid) && !isLate(began));
	t.false(isRunning(program.pid));
	t.not(readProc(`/proc/${program.pid}/stat`), undefined);
});

test.serial('the command is the program and its script, without arguments that may be secret', async t => {
	const script = join(temporaryDirectory(t), 'Zürich"🔒".js');
	writeFileSync(script, 'console.log("on"); process.stdin.resume()');
	const program = startCommand(t, process.execPath, ['--no-warnings', script, '--password=hunter2', 'hunter2', '']);
	await program.expect('line');
	t.like(describeProcess(program.pid), {pid: program.pid, command: `${process.execPath} ${script}`});
});

test.serial('a process title with spaces and a newline', async t => {
	const title = 'app: worker\nZürich';
	const script = 'process.title = process.argv[1]; console.log("on"); process.stdin.resume()';
	const program = startCommand(t, process.execPath, ['-e', script, title, 'hunter2'.repeat(10)]);
	await program.expect('line');
	t.is(describeProcess(program.pid)?.command, title);
});

test.serial('a program name that looks like the fields after it in /proc/<pid>/stat', async t => {
	const directory = temporaryDirectory(t);
	const name = join(directory, 'x) S 1 2 (3');
	symlinkSync(process.execPath, name);
	const program = startCommand(t, name, ['-e', 'console.log("on"); process.stdin.resume()']);
	await program.expect('line');
	const since = describeProcess(program.pid)?.since?.getTime() ?? 0;
	t.true(Math.abs(Date.now() - since) < 20_000, new Date(since).toISOString());
});

test.serial('a process with a reused pid is not confirmed, and gets no signal', async t => {
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
});

testUnless(noOtherUser())('a process of another user', async t => {
	const program = startCommand(t, 'sh', ['-c', 'echo on; read line'], {uid: otherUid});
	await program.expect('line');
	t.like(describeProcess(program.pid), {pid: program.pid, uid: otherUid, command: 'sh'});
});

test.serial('a zombie, which has no command line, causes no error', async t => {
	// The shell starts a child, and execs a program that never reaps it.
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
