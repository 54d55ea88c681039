/**
 * The two ways to flock: the addon and the command. Each does the job, and trouble is never "taken".
 */
import {chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {queueingCommand} from '../../../src/kernel/flock/flock.js';
import {noAddon, noFlockCommand, testUnless} from '../../helpers/abilities.js';
import {flockHolders, makeStale} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {type Event, type Program, start, temporaryDirectory} from '../../helpers/programs.js';
import {treeOf} from '../../helpers/tree.js';

checkLeaks();

const ways: Readonly<Record<string, string | undefined>> = {addon: noAddon(), command: noFlockCommand()};

for (const [way, obstacle] of Object.entries(ways)) {
	const maybe = testUnless(obstacle);
	const env = {BINDLOCK_FLOCK: way};

	maybe(`BINDLOCK_FLOCK=${way}: taken, refused, given back, taken again`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const [first, second] = [0, 1].map(() => start(t, 'holder', ['acquire', address], {env})) as [Program, Program];
		const [winner, loser] = (await first.peek()).event === 'held' ? [first, second] : [second, first];
		await winner.expect('held');
		t.like(await loser.expect('refused'), {
			code: 'EADDRINUSE',
			ours: true,
			holder: {pid: winner.pid, verified: true},
		});
		t.deepEqual(flockHolders(`${address}.lock`, [winner.pid, loser.pid]), [winner.pid]);
		winner.send('release');
		await winner.expect('released');
		t.deepEqual(flockHolders(`${address}.lock`, [winner.pid, loser.pid]), []);
		loser.send('again');
		t.like(await loser.expect('held'), {reclaimed: false});
	});

	maybe(`BINDLOCK_FLOCK=${way}: the lock ends with its process, however that ends`, async t => {
		const address = join(temporaryDirectory(t), 's');
		for (const end of ['exit', 'kill']) {
			const holder = start(t, 'holder', ['listen', address], {env});
			await holder.expect('held');
			holder.send(end);
			await holder.exited;
			const next = start(t, 'holder', ['listen', address], {env});
			// A normal exit has removed its socket; a kill has not.
			t.like(await next.expect('held'), {reclaimed: end === 'kill'}, end);
			next.send('release');
			await next.expect('released');
		}
	});
}

testUnless(noAddon(), noFlockCommand())('the two ways keep each other out', async t => {
	for (const [one, other] of [
		['addon', 'command'],
		['command', 'addon'],
	] as const) {
		const address = join(temporaryDirectory(t), 's');
		const holder = start(t, 'holder', ['acquire', address], {env: {BINDLOCK_FLOCK: one}});
		await holder.expect('held');
		const refused = start(t, 'holder', ['acquire', address], {env: {BINDLOCK_FLOCK: other}});
		t.like(await refused.expect('refused'), {code: 'EADDRINUSE', holder: {pid: holder.pid}});
	}
});

testUnless(noAddon() === undefined ? noFlockCommand() : noAddon())(
	'without a choice the addon is used, and no command is run',
	async t => {
		const directory = temporaryDirectory(t);
		const PATH = fakeFlock(t, 'echo ran >> "$RAN"; exit 2');
		const ran = join(directory, 'ran');
		writeFileSync(ran, '');
		const env = {PATH, RAN: ran, BINDLOCK_FLOCK: ''};
		await start(t, 'holder', ['acquire', join(directory, 's')], {env}).expect('held');
		t.is(readFileSync(ran, 'utf8'), '');
	},
);

/** Refused, with a stale socket and no lock file left as they were. */
async function refusedUntouched(t: ExecutionContext, env: Readonly<Record<string, string>>): Promise<Event> {
	const directory = temporaryDirectory(t);
	await makeStale(join(directory, 's'));
	const before = treeOf(directory);
	const refused = await start(t, 'holder', ['acquire', join(directory, 's')], {env}).expect('refused');
	t.deepEqual(treeOf(directory), before);
	t.true(refused['ours']);
	return refused;
}

test.serial('with no way at all: ERR_FLOCK_UNAVAILABLE, before anything is touched, and what to do', async t => {
	for (const env of [
		{PATH: '', BINDLOCK_FLOCK: 'command'},
		{PATH: temporaryDirectory(t), BINDLOCK_FLOCK: 'command'},
	]) {
		const {code, message, errno} = await refusedUntouched(t, env);
		t.is(code, 'ERR_FLOCK_UNAVAILABLE');
		t.is(errno, undefined);
		t.regex(String(message), /flock: not found in PATH/);
		t.regex(String(message), /Install flock \(package util-linux, or BusyBox\)/);
	}
});

test.serial('BINDLOCK_FLOCK with a value that is no way: ERR_FLOCK_UNAVAILABLE, and the value is named', async t => {
	const {code, message} = await refusedUntouched(t, {BINDLOCK_FLOCK: 'nonsense'});
	t.is(code, 'ERR_FLOCK_UNAVAILABLE');
	t.regex(String(message), /BINDLOCK_FLOCK is nonsense/);
});

const brokenAddons: Readonly<Record<string, string>> = {
	'that exports nothing': 'return {}',
	'that throws what is no error': 'throw null',
	'that is of another version of Node': "throw new Error('was compiled against a different Node.js version')",
};

for (const [title, body] of Object.entries(brokenAddons)) {
	testUnless(noFlockCommand())(`an addon ${title}: the command does the work`, async t => {
		const directory = temporaryDirectory(t);
		const hook = join(directory, 'hook.cjs');
		writeFileSync(
			hook,
			`const Module = require('node:module');
			const {_load} = Module;
			Module._load = function (name, ...rest) {
				if (name === 'fs-ext') { ${body} }
				return _load.call(this, name, ...rest);
			};`,
		);
		const options = {nodeOptions: ['--require', hook], env: {BINDLOCK_FLOCK: ''}};
		const holder = start(t, 'holder', ['acquire', join(directory, 's')], options);
		await holder.expect('held');
		t.deepEqual(flockHolders(join(directory, 's.lock'), [holder.pid]), [holder.pid]);
		const alone = {...options, env: {BINDLOCK_FLOCK: 'addon'}};
		const refused = await start(t, 'holder', ['acquire', join(directory, 'other')], alone).expect('refused');
		t.is(refused['code'], 'ERR_FLOCK_UNAVAILABLE');
	});
}

testUnless(noFlockCommand())('an LD_PRELOAD that cannot be loaded does not hide that the lock is taken', async t => {
	const address = join(temporaryDirectory(t), 's');
	const options = {env: {BINDLOCK_FLOCK: 'command', LD_PRELOAD: '/nowhere/at-all.so'}};
	const holder = start(t, 'holder', ['acquire', address], options);
	await holder.expect('held');
	const refused = await start(t, 'holder', ['acquire', address], options).expect('refused');
	t.like(refused, {code: 'EADDRINUSE', holder: {pid: holder.pid}});
});

testUnless(noFlockCommand())('flock(1) is an executable file, and found again after a chdir', async t => {
	const directory = temporaryDirectory(t);
	mkdirSync(join(directory, 'first', 'flock'), {recursive: true});
	mkdirSync(join(directory, 'second'));
	symlinkSync(queueingCommand() as string, join(directory, 'second', 'flock'));
	const env = {BINDLOCK_FLOCK: 'command', PATH: 'first:second'};
	const program = start(t, 'mover', [directory, '/'], {env, cwd: directory});
	await program.expect('waiting');
	t.is((await program.expect('held'))['code'], undefined);
});

/** A PATH that has a flock(1) of our own first. */
function fakeFlock(t: ExecutionContext, script: string): string {
	const directory = temporaryDirectory(t);
	writeFileSync(join(directory, 'flock'), `#!/bin/sh\n${script}\n`);
	chmodSync(join(directory, 'flock'), 0o755);
	return `${directory}:${process.env['PATH']}`;
}

const failures: Readonly<Record<string, readonly [script: string, says: string, code: string]>> = {
	'exits with 2': ['exit 2', 'status 2', 'ERR_FLOCK_COMMAND'],
	'exits with 64 and how to use it': ['echo usage >&2; exit 64', 'usage', 'ERR_FLOCK_COMMAND'],
	'exits with 1 and a reason': ['echo "flock: 3: Bad file descriptor" >&2; exit 1', 'Bad file', 'ERR_FLOCK_COMMAND'],
	'is killed': ['kill -9 $$', 'SIGKILL', 'ERR_FLOCK_COMMAND'],
	'finds no flock in the filesystem': ['echo "flock: 3: Operation not supported" >&2; exit 71', '', 'EOPNOTSUPP'],
	'finds no locks': ['echo "flock: 3: No locks available" >&2; exit 71', '', 'ENOLCK'],
	'finds no flock in the kernel': ['echo "flock: 3: Function not implemented" >&2; exit 71', '', 'ENOSYS'],
};

for (const [what, [script, , code]] of Object.entries(failures)) {
	test.serial(`a flock(1) that ${what} has not found the lock taken: ${code}`, async t => {
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

test.serial('what flock(1) had to say stands in the message', async t => {
	for (const [script, said] of Object.values(failures)) {
		const env = {PATH: fakeFlock(t, script), BINDLOCK_FLOCK: 'command'};
		const refused = await start(t, 'holder', ['acquire', join(temporaryDirectory(t), 's')], {env}).expect('refused');
		t.true(String(refused['message']).includes(said), `${said}: ${refused['message']}`);
	}
});
