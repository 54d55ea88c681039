/**
 * Tests that `bindlock run` guards its lock file: it locks a removed file again, and reports a loss.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync, renameSync, unlinkSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {bindlock, startBindlock} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {type Program, startCommand, temporaryDirectory} from '../../helpers/programs.js';

async function startRun(t: ExecutionContext, address: string, options: readonly string[] = []): Promise<Program> {
	const program = startBindlock(t, ['run', address, ...options, '--', 'sh', '-c', 'echo up; read -r line; exit 3']);
	await program.expect('line');
	return program;
}

/** Lets another process lock a file and move it to the path. */
async function takeAway(t: ExecutionContext, lockPath: string): Promise<void> {
	const other = `${lockPath}.other`;
	const thief = startCommand(t, 'flock', [other, 'sh', '-c', 'echo up; exec cat']);
	await thief.expect('line');
	renameSync(other, lockPath);
}

for (const options of [[], ['--close-fd']]) {
	test(`a removed lock file is locked again, ${options.join(' ')}`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = await startRun(t, address, options);
		for (let round = 1; round <= 2; round++) {
			unlinkSync(`${address}.lock`);
			await until(() => program.stderr.split('is locked again').length > round, 'the new lock');
			t.true(existsSync(`${address}.lock`));
			t.is((await bindlock(['run', address, '--', 'true'])).status, 75);
		}
		program.send('end');
		t.is((await withDeadline(program.exited)).code, 3);
		t.is(readFileSync(`${address}.lock`, 'utf8'), '');
		t.is((await bindlock(['run', address, '--', 'true'])).status, 0);
	});
}

test('a lock file that another process has locked: the loss is reported, and the command continues', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await startRun(t, address);
	await takeAway(t, `${address}.lock`);
	await until(() => /The lock of .* is lost/.test(program.stderr), 'the message');
	program.send('end');
	t.is((await withDeadline(program.exited)).code, 3);
});

test('--on-loss=stop ends the command', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await startRun(t, address, ['--on-loss=stop']);
	await takeAway(t, `${address}.lock`);
	t.is((await withDeadline(program.exited)).signal, 'SIGTERM');
	t.regex(program.stderr, /is lost.*; ending the command/);
	t.not(spawnSync('flock', ['--nonblock', `${address}.lock`, 'true']).status, 0, 'the lock of the other process stays');
});
