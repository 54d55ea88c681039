/**
 * Tests that the command escapes the names and texts of other users, and prints each on one line.
 */
import {chmodSync, mkdirSync, symlinkSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {bindlock, jsonLines, type Outcome} from '../helpers/command.js';
import {start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {makeStaleSync, serveNaively} from '../helpers/sockets.js';

/** Starts a new line; controls a terminal; reverses text; ends a line or paragraph; is invisible. */
const hostile = 'x\nforged\u001B[31m\u009B\u007F\u202E\u2066\u2028\u2029\u200B';

/** Matches unprintable characters except the newline. */
const unprintable = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u;

/** Runs the command with and without `--json`, and checks that every line is its own and printable. */
async function printsNothingRaw(t: ExecutionContext, args: readonly string[], uid?: number): Promise<Outcome> {
	const options = uid === undefined ? {} : {uid};
	const [name = '', ...rest] = args;
	for (const more of [['--json'], []]) {
		const outcome = await bindlock([name, ...more, ...rest], options);
		const {stdout, stderr} = outcome;
		const title = JSON.stringify([name, ...more, ...rest, stdout, stderr]);
		t.not(stdout + stderr, '', title);
		t.notRegex(stdout + stderr, unprintable, title);
		t.notRegex(stdout + stderr, /^forged/m, title);
		for (const line of stderr.split('\n')) t.regex(line, /^(bindlock: |Try 'bindlock|\{|$)/, title);
		if (more.length > 0) t.notThrows(() => jsonLines(stdout), title);
		else return outcome;
	}
	throw new Error('not reached');
}

test('paths and directories', async t => {
	const directory = join(temporaryDirectory(t), hostile);
	mkdirSync(directory);
	const address = join(directory, 's');
	makeStaleSync(address);
	for (const args of [
		['status', address],
		['status', `${address}/s`],
		['list', directory],
		['list', `${directory}/nothing`],
		['wait', `${address}2`, '--timeout', '10ms'],
		['wait', address, '--for', directory],
		['wait', address, '--timeout', directory],
		['doctor', address],
		['doctor', `${directory}2/s`],
		['run', address, '--', `${directory}/nothing`],
		['run', address, '--replace', directory, '--', 'true'],
		['status', `--${directory}`],
		['completion', directory],
		[directory],
	]) {
		await printsNothingRaw(t, args);
	}
	makeStaleSync(address);
	t.is((await bindlock(['reclaim', address])).stdout, `removed ${escapedPath(address)}\n`);
	await printsNothingRaw(t, ['reclaim', directory]);
	const {stdout} = await bindlock(['status', '--json', address]);
	t.is(jsonLines(stdout)[0]?.['address'], address, 'a program reads the name itself');
});

/** Escapes a path as `printable` does. */
function escapedPath(path: string): string {
	return JSON.stringify(path).replace(
		/[\u007F-\u009F\p{Cf}\u2028\u2029]/gu,
		character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
	);
}

test('an unknown option', async t => {
	const forged = `--wat\n(Did you mean forged?)\nforged`;
	const {stderr} = await printsNothingRaw(t, ['wait', forged]);
	t.is(stderr.split('\n').length, 3, stderr);
	const {stderr: near} = await bindlock(['wait', '--timout']);
	t.is(near, "bindlock: unknown option '--timout' (Did you mean --timeout?)\nTry 'bindlock wait --help' for more.\n");
});

testUnless(noOtherUser())("the system's message about another user's directory", async t => {
	const directory = temporaryDirectory(t);
	chmodSync(directory, 0o755);
	mkdirSync(join(directory, hostile), {mode: 0o700});
	const {stderr} = await printsNothingRaw(t, ['list', directory], otherUid);
	t.regex(stderr, /^bindlock: some subdirectories could not be read: EACCES.*x\\nforged\\u001b.*\n$/);
});

/** Every command that shows the holder of an address. */
function commandsAt(address: string): string[][] {
	return [
		['status', address],
		['list'],
		['wait', address, '--for', 'free', '--timeout', '10ms'],
		['reclaim', address],
		['doctor', address],
		['run', address, '--', 'true'],
	];
}

test('label and program of a holder', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const executable = join(directory, hostile);
	symlinkSync(process.execPath, executable);
	const holder = start(t, 'holder', ['listen', address, JSON.stringify({label: hostile})], {executable});
	await holder.expect('held');
	for (const args of [...commandsAt(address), ['run', address, '--wait=10ms', '--', 'true']]) {
		const {stdout, stderr} = await printsNothingRaw(t, args);
		t.true((stdout + stderr).includes('x\\nforged\\u001b[31m'), args.join(' '));
	}
	const {stdout} = await bindlock(['status', '--json', address]);
	t.like(jsonLines(stdout)[0], {holder: {label: hostile}});
});

test('the program of a server that takes no lock', async t => {
	const directory = temporaryDirectory(t);
	const executable = join(directory, hostile);
	symlinkSync(process.execPath, executable);
	const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('on'))`;
	const server = startCommand(t, executable, ['-e', script, join(directory, 's')]);
	await server.expect('line');
	for (const name of ['status', 'reclaim', 'doctor']) await printsNothingRaw(t, [name, join(directory, 's')]);
	await printsNothingRaw(t, ['list', directory]);
});

test('an abstract name', async t => {
	const name = `bindlock-test-${process.pid}-${hostile}`;
	serveNaively(t, `\0${name}`);
	const {stdout} = await printsNothingRaw(t, ['list']);
	t.true(stdout.includes(`bindlock-test-${process.pid}-x\\nforged\\u001b`), stdout);
	for (const args of [
		['status', `@${name}`],
		['reclaim', `@${name}`],
		['doctor', `@${name}`],
		['wait', `@${name}`, '--for', 'free', '--timeout', '10ms'],
		['run', `@${name}`, '--', 'true'],
	]) {
		await printsNothingRaw(t, args);
	}
});

test('no command prints the arguments of a holder, which may be secret', async t => {
	const address = join(temporaryDirectory(t), 's');
	const holder = start(t, 'holder', ['listen', address, '{}', '--db-password=hunter2', 'hunter2.js']);
	await holder.expect('held');
	for (const args of commandsAt(address)) {
		for (const more of [[], ['--json']]) {
			const {stdout, stderr} = await bindlock([...args.slice(0, 1), ...more, ...args.slice(1)]);
			t.true((stdout + stderr).includes('holder.js'), args.join(' '));
			t.false((stdout + stderr).includes('hunter2'), args.join(' '));
		}
	}
});
