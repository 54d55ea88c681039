/**
 * `bindlock doctor`, and what the command tells of itself: help, version, manual page, completions.
 */
import {mkdirSync, readdirSync, readFileSync, rmdirSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {manualPage} from '../../src/cli/man.js';
import {lacking, noMounts, noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {bindlock, cli, jsonLines, runToEnd} from '../helpers/command.js';
import {temporaryDirectory} from '../helpers/programs.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('doctor finds no problem in a directory of our own', async t => {
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

test('doctor: a directory that is not there, a path that is too long, a way to lock that is not there', async t => {
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

testUnless(noMounts())('doctor: of mounts that lie over each other, the one that can be seen', async t => {
	const directory = temporaryDirectory(t);
	const script = `mkdir "$0/x" && mount -t tmpfs none "$0/x" && mount -t ramfs none "$0" && mkdir "$0/x" && exec "$@"`;
	const command = ['--mount', 'sh', '-c', script, directory, process.execPath, cli];
	const {stdout, stderr} = await runToEnd('unshare', [...command, 'doctor', join(directory, 'x/s')]);
	t.true(stdout.includes(`filesystem: ramfs at ${directory}`), stdout + stderr);
});

test('doctor of a directory that is too long for a socket leaves nothing behind, there or elsewhere', async t => {
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

testUnless(noOtherUser())('doctor: another user may not write there', async t => {
	const {status, stdout} = await bindlock(['doctor', join(temporaryDirectory(t), 's')], {uid: otherUid});
	t.is(status, 71);
	t.regex(stdout, /^problem +directory: /m);
	t.regex(stdout, /^warning +processes: /m);
});

test('help and version go to standard output with 0', async t => {
	const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {version: string};
	for (const option of ['--version', '-V']) {
		t.like(await bindlock([option]), {status: 0, stdout: `${version}\n`, stderr: ''});
	}
	for (const args of [['--help'], ['-h'], ['help']]) {
		const {status, stdout, stderr} = await bindlock(args);
		t.is(status, 0);
		t.regex(stdout, /^Usage: bindlock/);
		t.is(stderr, '');
	}
	for (const name of ['run', 'status', 'list', 'wait', 'reclaim', 'doctor', 'completion', 'man']) {
		const {status, stdout} = await bindlock([name, '--help']);
		t.is(status, 0);
		t.regex(stdout, new RegExp(`^Usage: bindlock ${name}`));
		t.regex(stdout, /Examples:\n {2}\S/);
	}
});

test('no command, an unknown one, and unknown options are 64 on standard error', async t => {
	for (const args of [
		[],
		['bogus'],
		['--bogus'],
		['status', '--bogus', 'x'],
		['status'],
		['list', '--watch'],
		['man', 'x'],
	]) {
		const {status, stdout, stderr} = await bindlock(args);
		t.is(status, 64, args.join(' '));
		t.is(stdout, '');
		t.not(stderr, '');
	}
});

test('the manual page is up to date (else: node build/src/cli/main.js man > docs/bindlock.1)', async t => {
	const page = readFileSync(join(root, 'docs/bindlock.1'), 'utf8');
	const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {version: string};
	t.is(page, manualPage(version));
});

testUnless(lacking('groff'))('the manual page has no mistakes in its markup', async t => {
	const {status, stderr} = await runToEnd('groff', ['-man', '-Tutf8', '-ww', '-z', join(root, 'docs/bindlock.1')]);
	t.deepEqual([status, stderr], [0, '']);
});

test('docs/command.md names every command, option, field and exit status', async t => {
	const {commands} = await import('../../src/cli/commands.js');
	const {exitCodes} = await import('../../src/cli/definition.js');
	const text = readFileSync(join(root, 'docs/command.md'), 'utf8');
	for (const {name, options, fields, exits} of commands) {
		t.true(text.includes(`bindlock ${name}`), name);
		for (const option of options) t.true(text.includes(`--${option.name}`), option.name);
		for (const field of Object.keys(fields)) t.true(text.includes(`\`${field}\``), `${name}: ${field}`);
		for (const code of Object.keys({...exitCodes, ...exits})) t.true(text.includes(code), code);
	}
});

test('completions', async t => {
	const bash = (await bindlock(['completion', 'bash'])).stdout;
	const complete = async (...words: string[]): Promise<string[]> => {
		const script = `${bash}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bindlock; printf '%s\\n' "\${COMPREPLY[@]}"`;
		return (await runToEnd('bash', ['-c', script, '-', ...words])).stdout.trim().split('\n');
	};
	t.deepEqual(await complete('bindlock', 'sta'), ['status']);
	t.deepEqual(await complete('bindlock', 'wait', '--for', 'li'), ['listening']);
	t.deepEqual(await complete('bindlock', 'run', '--lab'), ['--label']);
	t.deepEqual(await complete('bindlock', 'completion', 'z'), ['zsh']);
	t.is((await bindlock(['completion', 'tcsh'])).status, 64);
});

for (const shell of ['zsh', 'fish']) {
	testUnless(lacking(shell))(`completions for ${shell} can be read by it`, async t => {
		const {stdout} = await bindlock(['completion', shell]);
		t.is((await runToEnd(shell, ['-n', '-c', stdout])).status, 0);
	});
}

test('nobody reads: as by SIGPIPE; a full disk: 71, and said', async t => {
	const broken = await runToEnd('bash', ['-o', 'pipefail', '-c', '"$0" "$1" man | true', process.execPath, cli]);
	t.true([0, 141].includes(broken.status ?? -1), String(broken.status));
	t.is(broken.stderr, '');
	const full = await runToEnd('sh', ['-c', '"$0" "$1" man >/dev/full', process.execPath, cli]);
	t.is(full.status, 71);
	t.regex(full.stderr, /^bindlock: cannot write to standard output: /);
});

test('colours only on a terminal', async t => {
	const {stdout} = await bindlock(['status', join(temporaryDirectory(t), 's')]);
	t.false(stdout.includes('\u001B'));
});

testUnless(lacking('script'))('colours on a terminal, but not with NO_COLOR', async t => {
	const address = join(temporaryDirectory(t), 's');
	const command = `${process.execPath} ${cli} status ${address}`;
	const env = {TERM: 'xterm', NO_COLOR: ''};
	t.true((await runToEnd('script', ['-qec', command, '/dev/null'], {env})).stdout.startsWith('\u001B[32mfree'));
	const plain = await runToEnd('script', ['-qec', command, '/dev/null'], {env: {...env, NO_COLOR: '1'}});
	t.regex(plain.stdout, /^free/);
});
