/**
 * Tests signals to `bindlock run`: the command receives each signal once, and bindlock exits when the command does.
 */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {noPython, python, testUnless} from '../../helpers/abilities.js';
import {cli, startBindlock} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {descendants, isAlive} from '../../helpers/processes.js';
import {type Program, startCommand, temporaryDirectory} from '../../helpers/programs.js';

const signalled = fileURLToPath(new URL('../../fixtures/signalled.js', import.meta.url));

test('bindlock forwards its signals to the command, and exits after it', async t => {
	const address = join(temporaryDirectory(t), 's');
	// A new session has no terminal, wherever the tests run.
	const program = startCommand(t, 'setsid', [
		'-w',
		process.execPath,
		cli,
		'run',
		address,
		'--',
		process.execPath,
		signalled,
	]);
	const {parent} = await ready(program);
	for (const signal of [
		'SIGHUP',
		'SIGINT',
		'SIGQUIT',
		'SIGTERM',
		'SIGUSR1',
		'SIGUSR2',
		'SIGWINCH',
		'SIGCONT',
	] as const) {
		process.kill(parent, signal);
		await program.expect(signal);
	}
	program.send('quit');
	t.is((await withDeadline(program.exited)).code, 5);
});

test('bindlock ends by the signal that ended the command, or with 128+n if that would dump core', async t => {
	const address = join(temporaryDirectory(t), 's');
	for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1'] as const) {
		const program = startBindlock(t, ['run', address, '--', 'sh', '-c', 'ulimit -c 0; echo up; exec sleep 300']);
		await program.expect('line');
		program.signal(signal);
		const expected = signal === 'SIGQUIT' ? {code: 131, signal: null} : {code: null, signal};
		t.deepEqual(await withDeadline(program.exited), expected, signal);
	}
});

/** Runs a command on a new terminal, copies its output, and reads instructions from standard input. */
const terminal = `
import os, pty, signal, sys, termios, threading
pid, master = pty.fork()
if pid == 0:
    modes = termios.tcgetattr(0)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, modes)
    os.execv(sys.argv[1], sys.argv[1:])
def obey():
    for line in sys.stdin:
        word, _, rest = line.strip().partition(' ')
        if word == 'type': os.write(master, rest.encode().decode('unicode_escape').encode('latin1'))
        if word == 'kill': os.kill(pid, getattr(signal, rest))
        if word == 'killpg': os.killpg(pid, getattr(signal, rest))
    os.kill(pid, signal.SIGKILL)
    os.close(master)
threading.Thread(target=obey, daemon=True).start()
try:
    while True:
        data = os.read(master, 4096)
        if not data: break
        os.write(1, data.replace(b'\\r', b''))
except OSError:
    pass
_, status = os.waitpid(pid, 0)
print('{"event": "end", "status": %d}' % (status >> 8 if os.WIFEXITED(status) else -os.WTERMSIG(status)), flush=True)
`;

testUnless(noPython())(
	'a signal to the process group of a terminal, as by Ctrl-C, reaches the command once, and so does a kill',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = startCommand(t, python, [...onTerminal(address), process.execPath, signalled]);
		await ready(program);
		for (const [order, signal] of [
			['type \\x03', 'SIGINT'],
			['kill SIGINT', 'SIGINT'],
			['kill SIGTERM', 'SIGTERM'],
			['type \\x1c', 'SIGQUIT'],
			['killpg SIGTERM', 'SIGTERM'],
			['killpg SIGUSR1', 'SIGUSR1'],
			['kill SIGQUIT', 'SIGQUIT'],
			['type \\x03', 'SIGINT'],
		] as const) {
			program.send(order);
			await next(program, signal);
			// A second signal would arrive before this answer.
			await settled(program);
		}
		program.send('type quit\\n');
		t.is((await next(program, 'end'))['status'], 5);
	},
);

testUnless(noPython())('Ctrl-C on a terminal ends a command with default handling, and bindlock', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = startCommand(t, python, [...onTerminal(address), 'sh', '-c', 'echo up; exec sleep 300']);
	await next(program, 'line');
	program.send('type \\x03');
	t.is((await next(program, 'end'))['status'], -2);
});

testUnless(noPython())(
	'Ctrl-C reaches the command once on a busy machine, where bindlock waits for the witness',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = startCommand(t, python, [...onTerminal(address), process.execPath, signalled]);
		const {parent, pid} = await ready(program);
		const others = (): number[] => descendants(parent).filter(child => child !== pid);
		const nextWitness = async (before = 0): Promise<number> => {
			await until(() => others().length === 1 && others()[0] !== before, 'the witness');
			return others()[0] ?? 0;
		};
		const first = await nextWitness();
		// A stopped witness simulates a busy machine.
		process.kill(first, 'SIGSTOP');
		program.send('type \\x03');
		await next(program, 'SIGINT');
		await new Promise(resolve => setTimeout(resolve, 300));
		process.kill(first, 'SIGCONT');
		const witness = await nextWitness(first);
		await settled(program);
		program.send('kill SIGINT');
		await next(program, 'SIGINT');
		// A witness that never answers only delays the signal.
		process.kill(witness, 'SIGSTOP');
		program.send('kill SIGTERM');
		await next(program, 'SIGTERM');
		process.kill(witness, 'SIGCONT');
		program.send('type quit\\n');
		t.is((await next(program, 'end'))['status'], 5);
		await until(() => !isAlive(witness), 'the end of the witness');
	},
);

function onTerminal(address: string): readonly string[] {
	return ['-c', terminal, process.execPath, cli, 'run', address, '--'];
}

/** @returns the pid of the command, and of its parent bindlock */
async function ready(program: Program): Promise<{readonly parent: number; readonly pid: number}> {
	const {pid} = await next(program, 'ready');
	const parent = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
	return {parent, pid: Number(pid)};
}

/** Returns the next event with this name, and skips other lines. */
async function next(program: Program, event: string): Promise<Record<string, unknown>> {
	for (;;) {
		const found = await program.next();
		if (found.event === event) return found;
		if (found.event !== 'line' && found.event !== 'SIGCONT') throw new Error(`${event}: got ${JSON.stringify(found)}`);
	}
}

/** Waits longer than bindlock needs to detect a signal to the process group. */
async function settled(program: Program): Promise<void> {
	await new Promise(resolve => setTimeout(resolve, 300));
	program.send('type x\\n');
	await next(program, 'heard');
}
