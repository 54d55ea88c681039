/**
 * Tests command lines that `bindlock run` refuses, and commands that cannot be started. Nothing is left behind.
 */
import {chmodSync, existsSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {inspect} from '../../../src/index.js';
import {bindlock, statusOf} from '../../helpers/command.js';
import {temporaryDirectory} from '../../helpers/programs.js';

test('a missing command exits with 127, one that cannot be executed with 126, and the lock is released', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const file = join(directory, 'file');
	writeFileSync(file, 'text');
	chmodSync(file, 0o644);
	const cases: readonly [number, string[]][] = [
		[127, ['no-such-command-here']],
		[127, [join(directory, 'nothing')]],
		[127, ['']],
		[126, [file]],
		[126, [directory]],
		[126, [join(file, 'below')]],
	];
	for (const [expected, command] of cases) {
		const {status, stderr} = await bindlock(['run', address, '--', ...command]);
		t.is(status, expected, command.join(' '));
		t.regex(stderr, /^bindlock: /);
		t.is(readFileSync(`${address}.lock`, 'utf8'), '');
		t.like(await statusOf(address), {state: 'free'});
	}
});

test('wrong command lines exit with 64 and a hint', async t => {
	const address = join(temporaryDirectory(t), 's');
	const cases = [
		['run'],
		['run', address],
		['run', address, '--'],
		['run', '--no-such', address, '--', 'true'],
		['run', address, '--label'],
		['run', '--close-fd=yes', address, '--', 'true'],
		['run', '--wait=soon', address, '--', 'true'],
		['run', '--replace=NOPE', address, '--', 'true'],
		['run', '--lock-file-mode=rw', address, '--', 'true'],
		['run', '--lock-file-mode=1777', address, '--', 'true'],
		['run', '--lock-file-mode', '438', address, '--', 'true'],
		['run', '--reclaim-foreign=1', address, '--', 'true'],
		['run', '--wait', '30s', address, '--', 'true'],
		['run', address, '--wait', '1s', 'true'],
		['run', '--timeout=soon', address, '--', 'true'],
		['run', '--on-loss=cry', address, '--', 'true'],
		['run', '--label', 'x'.repeat(201), address, '--', 'true'],
		['run', `/${'x'.repeat(200)}`, '--', 'true'],
		['run', '', '--', 'true'],
	];
	for (const args of cases) {
		const {status, stdout, stderr} = await bindlock(args);
		t.is(status, 64, args.join(' '));
		t.is(stdout, '');
		t.regex(stderr, /^bindlock: /);
	}
	t.false(existsSync(`${address}.lock`));
});

const refusals: readonly (readonly [string, readonly string[], number, RegExp])[] = [
	['no command', ['--listen', 'ADDRESS'], 64, /a command is missing/],
	['--close-fd', ['--listen', 'ADDRESS', '--close-fd', '--', 'true'], 64, /--close-fd cannot be used with --listen/],
	['ADDRESS and --listen', ['ADDRESS', '--listen', 'ADDRESS', '--', 'true'], 64, /--listen takes the place of ADDRESS/],
	[
		'--mode without --listen',
		['ADDRESS', '--mode=0600', '--', 'true'],
		64,
		/--mode is an option of bindlock run --listen/,
	],
	['an option without --listen', ['ADDRESS', '--stop-signal', 'INT', 'true'], 64, /--stop-signal is an option of/],
	['a wrong mode', ['--listen', 'ADDRESS', '--mode', '9', 'true'], 64, /--mode: "9" is not an octal mode/],
	['a wrong number', ['--listen', 'ADDRESS', '--backlog', '-1', 'true'], 64, /--backlog: "-1" is not a number/],
	[
		'a descriptor of a socket',
		['--listen', 'ADDRESS', '--ready-fd', '3', 'true'],
		64,
		/--ready-fd: "3" is not .* from 4/,
	],
	[
		'two ways to be ready',
		['--listen', 'ADDRESS', '--ready-fd=9', '--ready-after=1s', 'true'],
		64,
		/cannot be used together/,
	],
	['no such group', ['--listen', 'ADDRESS', '--group', 'no such', 'true'], 64, /--group: there is no group "no such"/],
	['no such signal', ['--listen', 'ADDRESS', '--stop-signal', 'no', 'true'], 64, /--stop-signal: "no" is not a signal/],
	['no address', ['--listen', '', 'true'], 64, /empty/],
	['the same address twice', ['--listen', 'ADDRESS', '--listen', 'ADDRESS', 'true'], 75, /EADDRINUSE/],
	[
		'no such directory',
		['--listen', 'ADDRESS', '--listen', 'ADDRESS/no/s', 'true'],
		71,
		/its directory does not exist/,
	],
	['a command that does not exist', ['--listen', 'ADDRESS', '--', 'ADDRESS.no'], 127, /not found/],
	['a command that cannot be executed', ['--listen', 'ADDRESS', '--', '/dev/null'], 126, /denied/i],
];

for (const [what, args, status, message] of refusals) {
	test(`--listen, refused: ${what}`, async t => {
		const directory = temporaryDirectory(t);
		const outcome = await bindlock(['run', ...args.map(arg => arg.replace('ADDRESS', join(directory, 's')))]);
		t.is(outcome.status, status, outcome.stderr);
		t.regex(outcome.stderr, message);
		t.deepEqual(
			readdirSync(directory).filter(name => name !== 's.lock'),
			[],
		);
		t.like(await inspect(join(directory, 's')), {state: 'free'});
	});
}
