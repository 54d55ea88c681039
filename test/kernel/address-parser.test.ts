/**
 * Tests the spellings of an address: their meaning, and the refused ones.
 */
import {mkdirSync, rmdirSync, symlinkSync} from 'node:fs';
import {join, resolve} from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import {BindLockError} from '../../src/index.js';
import {parseAddress} from '../../src/kernel/address-parser.js';
import {type Address, maxNameBytes, type PathnameAddress} from '../../src/model/address.js';
import {temporaryDirectory} from '../helpers/programs.js';

function pathname(given: string): PathnameAddress {
	const address = parseAddress(given);
	if (address.kind !== 'pathname') throw new Error(`${JSON.stringify(given)} was parsed as an abstract name`);
	return address;
}

function refusal(given: unknown): BindLockError {
	try {
		parseAddress(given as string);
	} catch (error) {
		if (error instanceof BindLockError) return error;
		throw error;
	}
	throw new Error(`${JSON.stringify(given)} was accepted`);
}

const pathnames: Readonly<Record<string, string>> = {
	'/p': '/p',
	'/run//app/../app.sock': '/run/app.sock',
	p: resolve('p'),
	'./@x': resolve('@x'),
	'@x': resolve('@x'),
	'-x': resolve('-x'),
	'...': resolve('...'),
	'dir.d/.hidden': resolve('dir.d/.hidden'),
	'unix:/p': '/p',
	'unix:p': resolve('p'),
	'unix:./p': resolve('p'),
	'unix:///p': '/p',
	'unix:////p': '/p',
	'./unix:p': resolve('unix:p'),
	'UNIX:p': resolve('UNIX:p'),
	'tcp:p': resolve('tcp:p'),
	' p ': resolve(' p '),
	'a\nb': resolve('a\nb'),
};

for (const [given, path] of Object.entries(pathnames)) {
	test(`the pathname ${JSON.stringify(given)}`, t => {
		t.deepEqual<Address, Address>(parseAddress(given), {
			kind: 'pathname',
			given,
			path,
			bindPath: path,
			lockPath: `${path}.lock`,
		});
	});
}

const abstractNames: Readonly<Record<string, string>> = {
	'\0name': 'name',
	'\0@name': '@name',
	'\0/run/app': '/run/app',
	'\0unix:x': 'unix:x',
	'unix:@name': 'name',
	'unix:@@name': '@name',
	'unix-abstract:name': 'name',
	'unix-abstract:@name': '@name',
};

for (const [given, name] of Object.entries(abstractNames)) {
	test(`the abstract name ${JSON.stringify(given)}`, t => {
		const address = parseAddress(given);
		t.like(address, {kind: 'abstract', given, name});
	});
}

const refused: readonly (readonly [given: string, code: string])[] = [
	['', 'ERR_ADDRESS_EMPTY'],
	['unix:', 'ERR_ADDRESS_EMPTY'],
	['\0', 'ERR_ADDRESS_EMPTY'],
	['unix:@', 'ERR_ADDRESS_EMPTY'],
	['unix-abstract:', 'ERR_ADDRESS_EMPTY'],
	['/a\0b', 'ERR_ADDRESS_NUL'],
	['/a\0', 'ERR_ADDRESS_NUL'],
	['\0a\0', 'ERR_ADDRESS_NUL'],
	['unix:/a\0b', 'ERR_ADDRESS_NUL'],
	['unix-abstract:\0a', 'ERR_ADDRESS_NUL'],
	['unix://relative', 'ERR_ADDRESS_SPELLING'],
	['unix://', 'ERR_ADDRESS_SPELLING'],
	['unix://host/p', 'ERR_ADDRESS_SPELLING'],
	['/', 'ERR_ADDRESS_SPELLING'],
	['/p/', 'ERR_ADDRESS_SPELLING'],
	['p/', 'ERR_ADDRESS_SPELLING'],
	['unix:///', 'ERR_ADDRESS_SPELLING'],
	['.', 'ERR_ADDRESS_SPELLING'],
	['..', 'ERR_ADDRESS_SPELLING'],
	['/p/.', 'ERR_ADDRESS_SPELLING'],
	['/p/..', 'ERR_ADDRESS_SPELLING'],
];

for (const [given, code] of refused) {
	test(`${JSON.stringify(given)} is refused with ${code}`, t => {
		const error = refusal(given);
		t.like(error, {name: 'BindLockError', code, address: given});
		t.is(error.syscall, undefined);
	});
}

test('107 bytes fit and 108 do not, in a path and in an abstract name', t => {
	t.is(maxNameBytes, process.platform === 'darwin' ? 103 : 107);
	const name = 'x'.repeat(maxNameBytes - 1);
	t.is(pathname(`/${name}`).path, `/${name}`);
	t.is(parseAddress(`\0x${name}`).kind, 'abstract');
	for (const given of [`/x${name}`, `\0xx${name}`, `unix:/x${name}`, `unix:@xx${name}`]) {
		const error = refusal(given);
		t.like(error, {code: 'ENAMETOOLONG', syscall: 'bind', address: given});
		t.true(error.message.includes(`${maxNameBytes + 1} bytes`), error.message);
	}
});

test('a path of millions of components is refused as too long, without an error of V8', t => {
	t.is(refusal('/a'.repeat(20_000_000)).code, 'ENAMETOOLONG');
	t.is(refusal(`/${'../../'.repeat(1_000_000)}s`).code, 'ENAMETOOLONG');
});

test('the length is counted in bytes of UTF-8', t => {
	const name = 'é'.repeat((maxNameBytes - 1) / 2);
	t.is(Buffer.byteLength(`/${name}`), maxNameBytes);
	t.is(pathname(`/${name}`).path, `/${name}`);
	t.true(`/${name}é`.length < maxNameBytes);
	t.is(refusal(`/${name}é`).code, 'ENAMETOOLONG');
	t.is(refusal(`/${'🔒'.repeat(27)}`).code, 'ENAMETOOLONG');
	t.is(refusal(`\0${'🔒'.repeat(27)}`).code, 'ENAMETOOLONG');
});

test.serial('a short relative path is bound as given if the absolute one is too long', t => {
	const here = process.cwd();
	const directory = join(temporaryDirectory(t), ...Array.from({length: 12}, () => 'directory'));
	t.teardown(() => process.chdir(here));
	mkdirSync(directory, {recursive: true});
	process.chdir(directory);
	const address = pathname('./s');
	t.deepEqual(address, {
		kind: 'pathname',
		given: './s',
		path: join(directory, 's'),
		bindPath: './s',
		lockPath: join(directory, 's.lock'),
	});
});

test('each accepted path is resolved as path.resolve does', t => {
	const part = fc.constantFrom('', '.', '..', '...', '.a', 'a.', 'a', '..b', '\n', ' ');
	const path = fc.array(part, {maxLength: 6}).map(parts => `${parts.join('/')}/s`);
	fc.assert(
		fc.property(path, given => {
			t.is((parseAddress(given) as PathnameAddress).path, resolve(given), JSON.stringify(given));
		}),
		{numRuns: 2000},
	);
});

test.serial('a relative path keeps its meaning after chdir', t => {
	const here = process.cwd();
	t.teardown(() => process.chdir(here));
	process.chdir(temporaryDirectory(t));
	const before = process.cwd();
	const address = pathname('unix:s');
	process.chdir('/');
	t.like(address, {path: join(before, 's'), bindPath: join(before, 's'), lockPath: join(before, 's.lock')});
	t.is(pathname('s').path, '/s');
});

test.serial('a relative path from a removed directory: BindLockError ENOENT', t => {
	const here = process.cwd();
	const directory = join(temporaryDirectory(t), 'removed');
	t.teardown(() => process.chdir(here));
	mkdirSync(directory);
	process.chdir(directory);
	rmdirSync(directory);
	t.like(refusal('s'), {code: 'ENOENT', address: 's'});
	t.is(pathname('/s').path, '/s');
});

test.serial(
	'in a directory whose name is not UTF-8, a relative path is not resolved to the directory named U+FFFD',
	t => {
		const here = process.cwd();
		t.teardown(() => process.chdir(here));
		const parent = temporaryDirectory(t);
		const directory = Buffer.concat([Buffer.from(`${parent}/`), Buffer.from([0xff])]);
		mkdirSync(directory);
		mkdirSync(join(parent, '\ufffd'));
		symlinkSync(Buffer.from([0xff]), join(parent, 'link'));
		process.chdir(join(parent, 'link'));
		t.like(refusal('s'), {code: 'ERR_ADDRESS_SPELLING', address: 's'});
		process.chdir(join(parent, '\ufffd'));
		t.is(pathname('s').path, join(parent, '\ufffd', 's'));
	},
);

const notStrings: Readonly<Record<string, unknown>> = {
	undefined: undefined,
	null: null,
	'a number': 1,
	'a bigint': 1n,
	'a boolean': true,
	'a symbol': Symbol('p'),
	'a function': () => '/p',
	'an array': ['/p'],
	'a buffer': Buffer.from('/p'),
	'options as for server.listen': {path: '/p'},
	'an object that cannot be printed': Object.create(null),
};

for (const [what, given] of Object.entries(notStrings)) {
	test(`not a string: ${what}`, t => {
		t.is(refusal(given).code, 'ERR_INVALID_ARG_TYPE');
	});
}

test('a refused address is shown with its control characters escaped', t => {
	t.true(refusal('/a\u001b[2J\0').message.includes('"/a\\u001b[2J\\u0000"'));
});
