/**
 * The descriptors that `bindlock run` leaves to its command: those it was started with, the lock, and none of Node's.
 */
import {readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noMounts, noPython, python, testUnless} from '../../helpers/abilities.js';
import {bindlock, cli, kill, runToEnd} from '../../helpers/command.js';
import {until} from '../../helpers/deadlines.js';
import {startCommand, temporaryDirectory} from '../../helpers/programs.js';

test('descriptors that the shell gave are passed on', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	writeFileSync(join(directory, 'three'), 'three');
	const script = '"$0" "$1" run "$2" -- sh -c \'cat <&3 "$1"\' - <(echo substituted) 3<"$3"';
	const parameters = [process.execPath, cli, address, join(directory, 'three')];
	const {stdout, stderr} = await runToEnd('bash', ['-c', script, ...parameters]);
	t.is(stdout, 'substituted\n', stderr);
	const three = await runToEnd('bash', ['-c', '"$0" "$1" run "$2" -- cat /dev/fd/3 3<"$3"', ...parameters]);
	t.is(three.stdout, 'three', three.stderr);
});

test('a copy of a standard descriptor, and /dev/null, are passed on as any other', async t => {
	const address = join(temporaryDirectory(t), 's');
	// Through cat, because Node gives no pipes, but sockets; and the copy is the second descriptor of the pipe.
	for (const [redirection, expected] of [
		['3>&1', 'x\n'],
		['4>&1', 'x\n'],
		['3>&1 14>&1', 'x\n'],
		['3>/dev/null', ''],
		['3</dev/null 4>/dev/null 3>&4', ''],
	] as const) {
		const number = /\d/.exec(redirection)?.[0];
		const script = `"$0" "$1" run "$2" -- sh -c 'echo x >&${number}' ${redirection} | cat; exit "\${PIPESTATUS[0]}"`;
		const {status, stdout, stderr} = await runToEnd('bash', ['-c', script, process.execPath, cli, address]);
		t.is(stdout, expected, `${redirection}: ${stderr}`);
		t.is(status, 0, `${redirection}: ${stderr}`);
	}
});

test('the command has what it had without bindlock, and the lock', async t => {
	for (const redirections of [
		'',
		'3>&1',
		'3>&1 4>&2 5<&0',
		'3>/dev/null',
		'4</dev/null 8>&2 10>&1 12</dev/null 13>/dev/null',
		'30>/dev/null 40>&1',
		'3<&- 4<&- 5>/dev/null 6>&1',
	]) {
		await assertSame(t, 'bash', ['-c', `"$@" ${redirections} | cat`, '-'], redirections);
	}
});

/**
 * Opens a pipe, as make and cargo do for their jobserver, and executes with both ends under these
 * numbers, and copies of the end to write under all further ones.
 */
const jobserver = `
import os, sys
numbers = [int(number) for number in sys.argv[1].split(',')]
low = os.pipe()
reading, writing = [os.dup2(end, 100 + end) for end in low]
for end in low: os.close(end)
os.dup2(reading, numbers[0])
for number in numbers[1:]: os.dup2(writing, number)
os.close(reading)
os.close(writing)
os.set_blocking(numbers[0], 'read' not in sys.argv[2])
os.set_blocking(numbers[1], 'write' not in sys.argv[2])
os.execvp(sys.argv[3], sys.argv[3:])
`;

testUnless(noPython())('a pipe of which both ends are here is passed on where Node has none like it', async t => {
	for (const [numbers, nonblocking] of [
		['3,4', 'none'],
		['3,4', 'read'],
		['3,4', 'read and write'],
		['8,9', 'none'],
		['8,9', 'read'],
		['8,9,11', 'read and write'],
		['0,4', 'none'],
		['100,101', 'none'],
	] as const) {
		await assertSame(t, python, ['-c', jobserver, numbers, nonblocking], `${numbers}, not blocking: ${nonblocking}`);
	}
});

const nameless = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.dup2(libc.eventfd(0, 0), 3)
os.dup2(libc.timerfd_create(1, 0), 12)
os.closerange(4, 12)
os.execvp(sys.argv[1], sys.argv[1:])
`;

testUnless(noPython())('descriptors without a name are passed on, if Node cannot have opened them', async t => {
	await assertSame(t, python, ['-c', nameless], 'an eventfd and a timerfd');
});

testUnless(noMounts())('without /proc the command has its standard descriptors and the lock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const before = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', '-'];
	const script = 'echo out; echo error >&2; "$0" "$1" run "$2" -- true; echo $?';
	const command = ['sh', '-c', script, process.execPath, cli, address];
	const {status, stdout, stderr} = await bindlock(['run', address, '--', ...command], {before});
	t.is(status, 0, stderr);
	t.is(stdout, 'out\n75\n');
	t.regex(stderr, /^error\nbindlock: listen EADDRINUSE: [^\n]*\n$/);
});

/** Says its pid in a line, and opens nothing any more. */
const lasting: readonly string[] = ['sh', '-c', 'echo $$; read -r _'];

/** What it has open when this command executes it, and when this command executes `bindlock run` with it. */
async function assertSame(t: ExecutionContext, command: string, args: readonly string[], title: string): Promise<void> {
	const address = join(temporaryDirectory(t), 's');
	const direct = await openIn(t, command, [...args, ...lasting]);
	const run = [process.execPath, cli, 'run', address, '--', ...lasting];
	const {pid, ...locked} = await openIn(t, command, [...args, ...run]);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${pid}\n`), 'the record of the command');
	const {fd} = JSON.parse(readFileSync(`${address}.lock`, 'utf8').split('\n')[1] ?? '') as {fd: number};
	t.is(locked.targets.get(fd), `${address}.lock`, title);
	t.true(fd > 9 && fd < 16, title);
	locked.targets.delete(fd);
	t.deepEqual(locked.targets, direct.targets, title);
}

async function openIn(
	t: ExecutionContext,
	command: string,
	args: readonly string[],
): Promise<{readonly pid: number; readonly targets: Map<number, string>}> {
	const program = startCommand(t, command, args);
	const pid = Number((await program.expect('line'))['line']);
	t.teardown(() => kill(pid, 'SIGKILL'));
	const targets = new Map<number, string>();
	for (const name of readdirSync(`/proc/${pid}/fd`).sort((one, other) => Number(one) - Number(other))) {
		// Pipes and sockets of another run have other numbers.
		targets.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`).replace(/\[\d+\]$/, ''));
	}
	return {pid, targets};
}
