/**
 * Tests the command line as a whole: help, version, usage errors, and the page that documents it.
 */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {bindlock} from '../helpers/command.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('help and version are printed to standard output, and exit with 0', async t => {
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

test('a missing or unknown command and unknown options exit with 64 and a message', async t => {
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

test('with --json a wrong command line is reported as one line of JSON', async t => {
	for (const args of [
		['status', '--json'],
		['wait', '--json', 'a', '--for', 'x'],
		['run', '--json'],
		['bogus', '--json'],
	]) {
		const {status, stderr} = await bindlock(args);
		t.is(status, 64, args.join(' '));
		t.like(JSON.parse(stderr), {error: {exit: 64}}, args.join(' '));
	}
});

test('docs/command.md names every command, option, field and exit status', async t => {
	const {commands} = await import('../../src/cli/commands.js');
	const {exitCodes} = await import('../../src/cli/exit-status.js');
	const text = readFileSync(join(root, 'docs/command.md'), 'utf8');
	for (const {name, options, fields = {}, exits} of commands) {
		t.true(text.includes(`bindlock ${name}`), name);
		for (const option of options) t.true(text.includes(`--${option.name}`), option.name);
		for (const field of Object.keys(fields)) t.true(text.includes(`\`${field}\``), `${name}: ${field}`);
		for (const code of Object.keys({...exitCodes, ...exits})) t.true(text.includes(code), code);
	}
});
