/**
 * Tests the descriptors of a command under `bindlock run`: the inherited ones, the lock, and none of Node's.
 */
import {readdirSync, readFileSync, readlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noMounts, noPython, python, testUnless} from '../../helpers/abilities.js';
import {bindlock, cli, kill, runToEnd} from '../../helpers/command.js';
import {until} from '../../helpers/deadlines.js';
import {startCommand, temporaryDirectory} from '../../helpers/programs.js';

test('descriptors of the shell are inherited', async t => {
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

test('a copy of a standard descriptor, and /dev/null, are inherited', async t => {
	const address = join(temporaryDirectory(t), 's');
	// cat makes standard output a pipe, because Node uses socket pairs. The copy is the second descriptor of the pipe.
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

test('the command has its descriptors without bindlock, and the lock', async t => {
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
 * Opens a pipe, as the jobserver of make and cargo does. Executes a command with both ends at the given numbers, and
 * with copies of the write end at all further numbers.
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

testUnless(noPython())(
	'a pipe with both ends in the process is inherited, if its numbers differ from those of Node',
	async t => {
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
	},
);

const nameless = `
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.dup2(libc.eventfd(0, 0), 3)
os.dup2(libc.timerfd_create(1, 0), 12)
os.closerange(4, 12)
os.execvp(sys.argv[1], sys.argv[1:])
`;

testUnless(noPython())('anonymous descriptors are inherited, if Node cannot have opened them', async t => {
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

/** Prints its pid, and opens no more descriptors. */
const lasting: readonly string[] = ['sh', '-c', 'echo $$; read -r _'];

/** Checks that a command has the same descriptors with and without `bindlock run`, except for the lock. */
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
		// The numbers of pipes and sockets differ between runs.
		targets.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`).replace(/\[\d+\]$/, ''));
	}
	return {pid, targets};
}
