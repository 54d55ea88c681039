/**
 * Tests errors: their fields equal Node's own, and their messages name the holder.
 */
import {once} from 'node:events';
import {mkdirSync, symlinkSync} from 'node:fs';
import {createServer, Server} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire, BindLockError, inspect, listen} from '../../src/index.js';
import {addressInUse, asBindLockError, codeOf} from '../../src/model/errors.js';
import {describeHolder, type Holder} from '../../src/model/holder.js';
import {escaped, printable, quoted, show} from '../../src/model/text.js';
import {checkLeaks} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';

checkLeaks();

/** Control characters, format characters (also bidirectional ones), line and paragraph separators, lone surrogates. */
const control = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

const everyControl: readonly string[] = [
	...Array.from({length: 0x11_0000}, (_, code) => code)
		.filter(code => code < 0xd800 || code > 0xdfff)
		.map(code => String.fromCodePoint(code))
		.filter(character => control.test(character)),
	'\ud83d',
	'\udc00',
];

const holder: Holder = {pid: 12, uid: 0, command: 'node server.js', since: new Date(0), verified: true};

test.serial('the EADDRINUSE of a taken address has the code, errno and syscall of net.Server', async t => {
	const address = join(temporaryDirectory(t), 's');
	const server = createServer().listen(address);
	await once(server, 'listening');
	t.teardown(() => server.close());

	const nodes = createServer().listen(address);
	const [theirs] = (await once(nodes, 'error')) as [NodeJS.ErrnoException & {address: string}];
	const ours = await t.throwsAsync(listen(createServer(), address), {instanceOf: BindLockError});

	t.is(theirs.code, 'EADDRINUSE');
	for (const field of ['code', 'errno', 'syscall', 'address'] as const) t.is(ours?.[field], theirs[field], field);
	t.true(ours?.message.startsWith(theirs.message), ours?.message);
});

test.serial('the EADDRINUSE of a locked address has the same fields, by acquire and by listen', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = start(t, 'holder', ['acquire', address, JSON.stringify({label: 'blue'})]);
	await program.expect('held');
	for (const attempt of [acquire(address), listen(createServer(), address)]) {
		const error = await t.throwsAsync(attempt, {instanceOf: BindLockError, code: 'EADDRINUSE'});
		t.like(error, {name: 'BindLockError', errno: -98, syscall: 'listen', address});
		t.like(error?.holder, {pid: program.pid, label: 'blue', verified: true});
		const {message} = error as Error;
		t.regex(
			message,
			new RegExp(
				`: held by pid ${program.pid} \\([^ ]* [^ ]*(?:holder\\.js|…)\\), uid ${process.geteuid?.()}, label "blue", since 20`,
			),
		);
	}
});

test('an error of the kernel keeps its code, errno, syscall, path and cause', t => {
	const cause = Object.assign(new Error('EIO: i/o error, open'), {
		code: 'EIO',
		errno: -5,
		syscall: 'open',
		path: '/x.lock',
	});
	const error = asBindLockError('/x', cause);
	t.true(error instanceof BindLockError);
	t.like(error, {code: 'EIO', errno: -5, syscall: 'open', path: '/x.lock', address: '/x', cause});
	t.regex(error.message, /EIO: i\/o error, open/);
	t.is(asBindLockError('/y', error), error);
});

test('an error without a code, and a value that is no error, are wrapped too', t => {
	for (const thrown of [new Error('x'), {message: 'x'}, {code: 7}]) {
		const error = asBindLockError('/x', thrown);
		t.like(error, {code: 'UNKNOWN', cause: thrown});
		t.is(error.errno, undefined);
	}
	t.regex(asBindLockError('/x', null).message, /: null$/);
	t.regex(asBindLockError('/x', 'enough').message, /: "enough"$/);
	t.is(codeOf(null), 'UNKNOWN');
	t.is(codeOf('EIO'), 'UNKNOWN');
	t.is(codeOf({code: 'EIO'}), 'EIO');
});

test('unknown fields are absent, not undefined', t => {
	const error = new BindLockError('x', {code: 'ERR_LOCK_LOST', address: '/x', syscall: undefined, holder: undefined});
	t.deepEqual(Object.keys(error).sort(), ['address', 'code', 'name']);
	t.false('cause' in error);
	t.deepEqual(JSON.parse(JSON.stringify(addressInUse('/x', {why: 'held by', holder}))).holder, {
		...holder,
		since: '1970-01-01T00:00:00.000Z',
	});
});

test('the description of a holder contains exactly the known fields', t => {
	t.is(describeHolder(holder), 'pid 12 (node server.js), uid 0, since 1970-01-01T00:00:00.000Z');
	t.is(describeHolder({pid: 12, uid: undefined, command: undefined, since: undefined, verified: true}), 'pid 12');
	t.is(
		describeHolder({...holder, host: 'box', label: 'a "b"', verified: false}),
		'pid 12 (node server.js), uid 0, host "box", label "a \\"b\\"", since 1970-01-01T00:00:00.000Z, according to its record; the kernel does not confirm it here',
	);
	const long = describeHolder({...holder, command: 'x'.repeat(500)});
	t.true(long.length < 200, long);
	t.true(long.includes('x…'));
});

test('an ordinary address is printed unchanged, and control characters are escaped', t => {
	for (const plain of ['/run/app.sock', '/with space', '/"quoted"', '/naïve/日本']) t.is(printable(plain), plain);
	for (const character of everyControl) {
		const shown = printable(`/a${character}b`);
		t.notRegex(shown, control, JSON.stringify(character));
		t.true(shown.includes('a') && shown.includes('b'));
	}
	t.is(printable('\0app'), '\\0app');
});

test('escapes are those of JSON, and parse to the original text', t => {
	t.is(printable('/x\nforged: all is well'), '"/x\\nforged: all is well"');
	t.is(
		escaped("scandir '/x\n\u0085\u202e\u2028\u{e0041}\ud83d'"),
		"scandir '/x\\n\\u0085\\u202e\\u2028\\udb40\\udc41\\ud83d'",
	);
	t.is(escaped('naïve 日本 🔒 "quoted" \\n'), 'naïve 日本 🔒 "quoted" \\n');
	for (const character of everyControl) {
		const value = {text: `a${character}🔒"\\`};
		t.notRegex(quoted(value), control);
		t.deepEqual(JSON.parse(quoted(value)), value);
	}
});

test('the message of an error is one line, whatever its text contains', t => {
	for (const character of everyControl) {
		const {message, address} = new BindLockError(`x${character}y`, {code: 'ERR_LOCK_LOST', address: character});
		t.notRegex(message, control, JSON.stringify(character));
		t.is(address, character);
		t.notRegex(show(new Error(character)), control);
		t.notRegex(show(character), control);
	}
});

test('command, label and host of a holder are escaped in a message', t => {
	for (const character of everyControl) {
		const text = `a${character}b`;
		for (const fields of [{command: text}, {label: text}, {host: text}]) {
			const message = addressInUse('/x', {why: 'held by', holder: {...holder, ...fields}}).message;
			t.notRegex(message, control, `${Object.keys(fields)} ${JSON.stringify(character)}`);
		}
	}
});

test('the path in the message of a system call is escaped', t => {
	const path = '/a\u001b[31m\u009b32m\u202e';
	const message = `EACCES: permission denied, lstat '${path}'`;
	const error = asBindLockError(path, Object.assign(new Error(message), {code: 'EACCES', syscall: 'lstat', path}));
	t.notRegex(error.message, control, JSON.stringify(error.message));
	t.regex(error.message, /permission denied/);
	t.is(error.address, path);
});

test.serial('control characters of a path are escaped in every message', async t => {
	const directory = join(temporaryDirectory(t), 'a\u001b[31m\nb\u202e\u2028');
	mkdirSync(directory);
	symlinkSync('loop', join(directory, 'loop'));
	const taken = await acquire(join(directory, 'taken'));
	t.teardown(() => taken.release());
	const errors = [
		(await inspect(join(directory, 'loop', 's'))).reason,
		await t.throwsAsync(acquire(join(directory, 'taken'))),
		await t.throwsAsync(acquire(join(directory, 'missing', 's'))),
		await t.throwsAsync(acquire(`${directory}/`)),
		await t.throwsAsync(listen(new Refusing(), join(directory, 's'))),
	];
	for (const error of errors) {
		t.true(error instanceof BindLockError);
		t.notRegex(error?.message ?? '', control, JSON.stringify(error?.message));
	}
});

/** A server whose bind fails with the error that Node would emit. */
class Refusing extends Server {
	override listen(...[options]: unknown[]): this {
		const {path} = options as {path: string};
		const error = new Error(`listen EACCES: permission denied ${path}`);
		process.nextTick(() =>
			this.emit('error', Object.assign(error, {code: 'EACCES', syscall: 'listen', address: path})),
		);
		return this;
	}
}
