/**
 * Tests flock(1): how it is found, and that no failure is mistaken for contention.
 */
import {mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {flockCommand} from '../../../src/kernel/flock/command.js';
import {noFlockCommand, testUnless} from '../../helpers/abilities.js';
import {makeStale} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {fakeFlock, start, temporaryDirectory} from '../../helpers/programs.js';
import {treeOf} from '../../helpers/tree.js';

checkLeaks();

testUnless(noFlockCommand())('contention is recognized although LD_PRELOAD cannot be loaded', async t => {
	const address = join(temporaryDirectory(t), 's');
	const options = {env: {BINDLOCK_FLOCK: 'command', LD_PRELOAD: '/nowhere/at-all.so'}};
	const holder = start(t, 'holder', ['acquire', address], options);
	await holder.expect('held');
	const refused = await start(t, 'holder', ['acquire', address], options).expect('refused');
	t.like(refused, {code: 'EADDRINUSE', holder: {pid: holder.pid}});
});

testUnless(noFlockCommand())('flock(1) must be an executable file, and is found after a chdir', async t => {
	const directory = temporaryDirectory(t);
	mkdirSync(join(directory, 'first', 'flock'), {recursive: true});
	mkdirSync(join(directory, 'second'));
	symlinkSync(flockCommand() as string, join(directory, 'second', 'flock'));
	const env = {BINDLOCK_FLOCK: 'command', PATH: 'first:second'};
	const program = start(t, 'mover', [directory, '/'], {env, cwd: directory});
	await program.expect('waiting');
	t.is((await program.expect('held'))['code'], undefined);
});

const failures: Readonly<Record<string, readonly [script: string, says: string, code: string]>> = {
	'exits with 2': ['exit 2', 'status 2', 'ERR_FLOCK_COMMAND'],
	'exits with 64 and prints its usage': ['echo usage >&2; exit 64', 'usage', 'ERR_FLOCK_COMMAND'],
	'exits with 1 and prints a reason': [
		'echo "flock: 3: Bad file descriptor" >&2; exit 1',
		'Bad file',
		'ERR_FLOCK_COMMAND',
	],
	'is killed': ['kill -9 $$', 'SIGKILL', 'ERR_FLOCK_COMMAND'],
	'prints EOPNOTSUPP': ['echo "flock: 3: Operation not supported" >&2; exit 71', '', 'EOPNOTSUPP'],
	'prints ENOLCK': ['echo "flock: 3: No locks available" >&2; exit 71', '', 'ENOLCK'],
	'prints ENOSYS': ['echo "flock: 3: Function not implemented" >&2; exit 71', '', 'ENOSYS'],
};

for (const [what, [script, , code]] of Object.entries(failures)) {
	test.serial(`a flock(1) that ${what} is no contention: ${code}`, async t => {
		const directory = temporaryDirectory(t);
		await makeStale(join(directory, 's'));
		writeFileSync(join(directory, 's.lock'), '');
		const before = treeOf(directory);
		const env = {PATH: fakeFlock(t, script), BINDLOCK_FLOCK: 'command'};
		const refused = await start(t, 'holder', ['acquire', join(directory, 's')], {env}).expect('refused');
		t.like(refused, {code, syscall: 'flock', holder: undefined, ours: true});
		if (!code.startsWith('ERR_')) t.regex(String(refused['message']), /does not support flock/);
		t.deepEqual(treeOf(directory), before);
	});
}

test.serial('the message contains the output of flock(1)', async t => {
	for (const [script, said] of Object.values(failures)) {
		const env = {PATH: fakeFlock(t, script), BINDLOCK_FLOCK: 'command'};
		const refused = await start(t, 'holder', ['acquire', join(temporaryDirectory(t), 's')], {env}).expect('refused');
		t.true(String(refused['message']).includes(said), `${said}: ${refused['message']}`);
	}
});
