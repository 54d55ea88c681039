/**
 * Tests the ways to call flock(2): each works and excludes the others, and one is enough.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noAddon, noFlockCommand, noKoffi, testUnless} from '../../helpers/abilities.js';
import {flockHolders, makeStale} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {
	type Event,
	fakeFlock,
	type Program,
	type StartOptions,
	start,
	temporaryDirectory,
} from '../../helpers/programs.js';
import {bun, deno, nodes, type Runtime} from '../../helpers/runtimes.js';
import {treeOf} from '../../helpers/tree.js';

checkLeaks();

interface ForcedWay {
	readonly title: string;
	readonly obstacle: string | undefined;
	readonly options: StartOptions;
}

const node26: Runtime = nodes.at(-1) as Runtime;

const ways: readonly ForcedWay[] = [
	{title: 'addon', obstacle: noAddon(), options: {env: {BINDLOCK_FLOCK: 'addon'}}},
	...[node26, bun, deno].map(({title, obstacle, options}) => ({
		title: `ffi, on ${title}`,
		obstacle,
		options: {...options, env: {BINDLOCK_FLOCK: 'ffi'}},
	})),
	{title: 'koffi', obstacle: noKoffi(), options: {env: {BINDLOCK_FLOCK: 'koffi'}}},
	{title: 'command', obstacle: noFlockCommand(), options: {env: {BINDLOCK_FLOCK: 'command'}}},
];

for (const {title, obstacle, options} of ways) {
	const maybe = testUnless(obstacle);

	maybe(`${title}: acquire, refuse, release, acquire again`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const [first, second] = [0, 1].map(() => start(t, 'holder', ['acquire', address], options)) as [Program, Program];
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

	maybe(`${title}: the lock ends with its process, by exit or SIGKILL`, async t => {
		const address = join(temporaryDirectory(t), 's');
		for (const end of ['exit', 'kill']) {
			const holder = start(t, 'holder', ['listen', address], options);
			await holder.expect('held');
			holder.send(end);
			await holder.exited;
			const next = start(t, 'holder', ['listen', address], options);
			// A normal exit has removed its socket; a kill has not.
			t.like(await next.expect('held'), {reclaimed: end === 'kill'}, end);
			next.send('release');
			await next.expect('released');
		}
	});
}

for (const [index, one] of ways.entries()) {
	const other = ways[(index + 1) % ways.length] as ForcedWay;
	testUnless(one.obstacle, other.obstacle)(`a lock taken by ${one.title} excludes ${other.title}`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const holder = start(t, 'holder', ['acquire', address], one.options);
		await holder.expect('held');
		const refused = start(t, 'holder', ['acquire', address], other.options);
		t.like(await refused.expect('refused'), {code: 'EADDRINUSE', holder: {pid: holder.pid}});
	});
}

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

for (const {title, obstacle, options} of ways.filter(({title}) => /koffi|Node 26/.test(title))) {
	testUnless(obstacle)(`${title}: in worker threads too; the lock ends with its thread`, async t => {
		const program = start(t, 'worker', [join(temporaryDirectory(t), 's')], options);
		for (const ending of ['terminate', 'exit']) {
			program.send('start');
			await program.expect('held');
			program.send(ending);
			await program.expect('ended');
		}
		program.send('acquire');
		t.like(await program.expect('held'), {reclaimed: false});
	});
}

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
	t.regex(String(message), /nonsense \(BINDLOCK_FLOCK\) cannot be used: there are only addon, ffi, koffi, command/);
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
