/**
 * Tests the choice between the addon and the command: each excludes the other, and one is enough.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noAddon, noFlockCommand, testUnless} from '../../helpers/abilities.js';
import {flockHolders, makeStale} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {type Event, fakeFlock, type Program, start, temporaryDirectory} from '../../helpers/programs.js';
import {treeOf} from '../../helpers/tree.js';

checkLeaks();

const ways: Readonly<Record<string, string | undefined>> = {addon: noAddon(), command: noFlockCommand()};

for (const [way, obstacle] of Object.entries(ways)) {
	const maybe = testUnless(obstacle);
	const env = {BINDLOCK_FLOCK: way};

	maybe(`BINDLOCK_FLOCK=${way}: acquire, refuse, release, acquire again`, async t => {
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

	maybe(`BINDLOCK_FLOCK=${way}: the lock ends with its process, by exit or SIGKILL`, async t => {
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

testUnless(noAddon(), noFlockCommand())('a lock taken one way excludes the other way', async t => {
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
	'without BINDLOCK_FLOCK the addon is used, and no command is started',
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

/** Checks that acquire is refused, and that a stale socket stays and no lock file is created. */
async function refusedUntouched(t: ExecutionContext, env: Readonly<Record<string, string>>): Promise<Event> {
	const directory = temporaryDirectory(t);
	await makeStale(join(directory, 's'));
	const before = treeOf(directory);
	const refused = await start(t, 'holder', ['acquire', join(directory, 's')], {env}).expect('refused');
	t.deepEqual(treeOf(directory), before);
	t.true(refused['ours']);
	return refused;
}

test.serial('with neither addon nor command: ERR_FLOCK_UNAVAILABLE with advice, and no file is changed', async t => {
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

test.serial('an unknown value of BINDLOCK_FLOCK: ERR_FLOCK_UNAVAILABLE, which names the value', async t => {
	const {code, message} = await refusedUntouched(t, {BINDLOCK_FLOCK: 'nonsense'});
	t.is(code, 'ERR_FLOCK_UNAVAILABLE');
	t.regex(String(message), /BINDLOCK_FLOCK is nonsense/);
});

const brokenAddons: Readonly<Record<string, string>> = {
	'that exports nothing': 'return {}',
	'that throws null': 'throw null',
	'compiled for another version of Node': "throw new Error('was compiled against a different Node.js version')",
};

for (const [title, body] of Object.entries(brokenAddons)) {
	testUnless(noFlockCommand())(`an addon ${title}: the command is used`, async t => {
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
