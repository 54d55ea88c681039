/**
 * `bindlock doctor`.
 */
import {mkdirSync, readdirSync, rmdirSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {noMounts, noOtherUser, otherUid, testUnless} from '../../helpers/abilities.js';
import {bindlock, cli, jsonLines, runToEnd} from '../../helpers/command.js';
import {temporaryDirectory} from '../../helpers/programs.js';
import {bun, deno, nodes, type Runtime} from '../../helpers/runtimes.js';

test('doctor finds no problem in a private directory', async t => {
	const directory = temporaryDirectory(t);
	const {status, stdout, stderr} = await bindlock(['doctor', '--json', join(directory, 's')]);
	t.is(status, 0, stdout + stderr);
	const findings = jsonLines(stdout);
	const checks = findings.map(({check}) => check);
	for (const check of ['node', 'flock', 'length', 'directory', 'filesystem', 'flock there', 'bind there', 'state']) {
		t.true(checks.includes(check), check);
	}
	t.true(findings.every(({level, remedy}) => (level === 'ok') === (remedy === undefined)));
	t.regex((await bindlock(['doctor'])).stdout, /^ok +flock: by /m);
});

test('doctor: a missing directory, a path that is too long, no way to call flock', async t => {
	const directory = temporaryDirectory(t);
	const nowhere = await bindlock(['doctor', join(directory, 'nothing', 's')]);
	t.is(nowhere.status, 71);
	t.regex(nowhere.stdout, /^problem +directory: .*ENOENT\n +→ create it/m);
	t.is((await bindlock(['doctor', `/${'x'.repeat(200)}`])).status, 71);
	const long = join(directory, 'x'.repeat(100));
	mkdirSync(long);
	const relative = await bindlock(['doctor', 's'], {cwd: long});
	t.regex(relative.stdout, /^warning +length: /m);
	const without = await bindlock(['doctor'], {env: {BINDLOCK_FLOCK: 'command', PATH: directory}});
	t.is(without.status, 71);
	t.regex(without.stdout, /^problem +flock: No way to lock[^\n]*\n +→ Install flock/m);
});

for (const {title, obstacle, options} of [nodes.at(-1) as Runtime, bun, deno]) {
	testUnless(obstacle)(
		`doctor on ${title}: which way to call flock is used, and the whole reason why another is not`,
		async t => {
			const {executable, nodeOptions} = options;
			const {stdout} = await runToEnd(executable, [...nodeOptions, cli, 'doctor'], {env: {BINDLOCK_FLOCK: ''}});
			t.regex(stdout, /^ok +flock: by the foreign function interface of this runtime$/m);
			// The addon is compiled for the Node of the tests, or not at all.
			t.regex(stdout, /^ok +flock by addon: cannot be used: .*(version|does not support|Cannot find module)/m);
		},
	);
}

testUnless(noMounts())('doctor names the filesystem', async t => {
	const directory = temporaryDirectory(t);
	const script = 'mount -t tmpfs none "$1" && exec "$2" "$3" doctor --json "$1/s"';
	const {stdout} = await runToEnd('unshare', [
		...['--mount', 'sh', '-c', script, '-', directory, process.execPath, cli],
	]);
	const found = jsonLines(stdout).find(({check}) => check === 'filesystem');
	t.like(found, {level: 'ok', message: `tmpfs at ${directory}`});
	const readOnly = 'mount -t tmpfs -o ro none "$1" && exec "$2" "$3" doctor --json "$1/s"';
	const refused = await runToEnd('unshare', ['--mount', 'sh', '-c', readOnly, '-', directory, process.execPath, cli]);
	t.is(refused.status, 71);
	t.like(
		jsonLines(refused.stdout).find(({check}) => check === 'filesystem'),
		{level: 'problem'},
	);
});

testUnless(noMounts())('doctor names the topmost of stacked mounts', async t => {
	const directory = temporaryDirectory(t);
	const script = `mkdir "$0/x" && mount -t tmpfs none "$0/x" && mount -t ramfs none "$0" && mkdir "$0/x" && exec "$@"`;
	const command = ['--mount', 'sh', '-c', script, directory, process.execPath, cli];
	const {stdout, stderr} = await runToEnd('unshare', [...command, 'doctor', join(directory, 'x/s')]);
	t.true(stdout.includes(`filesystem: ramfs at ${directory}`), stdout + stderr);
});

test('doctor in a directory whose path is too long for a socket leaves no file behind', async t => {
	const parent = temporaryDirectory(t);
	for (const length of [100, 104, 105]) {
		const directory = join(parent, 'd'.repeat(length - parent.length - 1));
		mkdirSync(directory);
		const {stdout} = await bindlock(['doctor', join(directory, 's')]);
		t.regex(stdout, /bind there: not tried/, String(length));
		t.deepEqual(readdirSync(directory), []);
		rmdirSync(directory);
		t.deepEqual(readdirSync(parent), []);
	}
});

testUnless(noOtherUser())('doctor in a directory where another user may not write', async t => {
	const {status, stdout} = await bindlock(['doctor', join(temporaryDirectory(t), 's')], {uid: otherUid});
	t.is(status, 71);
	t.regex(stdout, /^problem +directory: /m);
	t.regex(stdout, /^warning +processes: /m);
});
