/**
 * Tests the validation of options, which comes before any system call.
 */
import {createServer} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type AcquireOptions, acquire, BindLockError, type ListenOptions, listen} from '../../src/index.js';
import {checkAcquireOptions} from '../../src/model/option-checks.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {temporaryDirectory} from '../helpers/programs.js';
import {treeOf} from '../helpers/tree.js';

checkLeaks();

type Wrong = readonly (readonly [value: unknown, code: string])[];

const type = 'ERR_INVALID_ARG_TYPE';
const range = 'ERR_OUT_OF_RANGE';

const notBooleans: Wrong = [
	[1, type],
	['true', type],
	[null, type],
	[{}, type],
];

const notModes: Wrong = [
	['600', type],
	[null, type],
	[0o600n, type],
	[-1, range],
	[0o1000, range],
	[1.5, range],
	[Number.NaN, range],
	[Number.POSITIVE_INFINITY, range],
];

const notDurations: Wrong = [
	['5', type],
	[null, type],
	[5n, type],
	[-1, range],
	[Number.NaN, range],
	[Number.NEGATIVE_INFINITY, range],
];

/** The type makes the compiler require an entry for each new option. */
const wrongForBoth: Readonly<Record<keyof AcquireOptions, Wrong>> = {
	waitMs: notDurations,
	onWait: [
		[null, type],
		['x', type],
		[{}, type],
	],
	exclusive: notBooleans,
	replace: [
		[null, type],
		[true, type],
		['SIGTERM', type],
		[{killSignal: 15}, type],
		[{killSignal: 'TERM'}, type],
		[{killSignal: 'toString'}, type],
		...notDurations.map(([timeoutMs, code]) => [{timeoutMs}, code] as const),
		...notBooleans.map(([escalate, code]) => [{escalate}, code] as const),
		[{signal: 'SIGTERM'}, 'ERR_INVALID_ARG_VALUE'],
	],
	signal: [
		[null, type],
		[new AbortController(), type],
		[{aborted: false}, type],
	],
	label: [
		[1, type],
		[null, type],
		[Buffer.from('x'), type],
		['x'.repeat(201), range],
	],
	backend: [
		['nfs', 'ERR_INVALID_ARG_VALUE'],
		['', 'ERR_INVALID_ARG_VALUE'],
		[null, 'ERR_INVALID_ARG_VALUE'],
	],
	removeLockFile: notBooleans,
	lockFileMode: notModes,
	reclaimForeign: notBooleans,
};

const wrongForListen: Readonly<Record<Exclude<keyof ListenOptions, keyof AcquireOptions>, Wrong>> = {
	backlog: [
		['511', type],
		[null, type],
		[-1, range],
		[1.5, range],
		[Number.NaN, range],
		[2 ** 31, range],
	],
	readableAll: notBooleans,
	writableAll: notBooleans,
	socketMode: notModes,
	heal: notBooleans,
	drainMs: notDurations,
};

type Attempt = (address: string, options: unknown) => Promise<unknown>;

const byAcquire: Attempt = (address, options) => acquire(address, options as AcquireOptions);
const byListen: Attempt = (address, options) => listen(createServer(), address, options as ListenOptions);

/** Checks that the directory stays unchanged, with a stale socket that acquire would remove. */
async function refuses(
	t: ExecutionContext,
	attempts: readonly Attempt[],
	options: unknown,
	code: string,
): Promise<Error[]> {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	await makeStale(address);
	const before = treeOf(directory);
	const errors: Error[] = [];
	for (const attempt of attempts) {
		const error = await t.throwsAsync(attempt(address, options), {instanceOf: BindLockError, code});
		t.like(error, {address, syscall: undefined, errno: undefined});
		errors.push(error as Error);
	}
	t.deepEqual(treeOf(directory), before);
	return errors;
}

function refusesValues(name: string, attempts: readonly Attempt[], values: Wrong): void {
	test.serial(`the option ${name} is refused if its type is wrong or its value out of range`, async t => {
		for (const [value, code] of values) {
			for (const error of await refuses(t, attempts, {[name]: value}, code)) {
				t.regex(error.message, new RegExp(`^The option ${name}( must be|: )`));
			}
		}
	});
}

for (const [name, values] of Object.entries(wrongForBoth)) refusesValues(name, [byAcquire, byListen], values);
for (const [name, values] of Object.entries(wrongForListen)) refusesValues(name, [byListen], values);

test.serial('an unknown option is refused, and the message names the known ones', async t => {
	for (const name of ['lable', 'timeout', 'constructor', '__proto__x', 'toString', '']) {
		for (const error of await refuses(t, [byAcquire, byListen], {[name]: 1}, 'ERR_INVALID_ARG_VALUE')) {
			t.regex(error.message, /removeLockFile/);
			t.true(error.message.includes(`"${name}"`), error.message);
		}
	}
});

test.serial('an unknown option beside a valid one is refused', async t => {
	t.is((await refuses(t, [byAcquire, byListen], {label: 'x', labels: 'x'}, 'ERR_INVALID_ARG_VALUE')).length, 2);
});

test.serial('acquire refuses the options of listen', async t => {
	for (const options of [{backlog: 1}, {readableAll: true}, {writableAll: true}, {socketMode: 0o600}]) {
		t.is((await refuses(t, [byAcquire], options, 'ERR_INVALID_ARG_VALUE')).length, 1);
	}
});

test.serial('options from a class or a prototype are validated and used; later changes have no effect', async t => {
	class Settings {
		get label(): unknown {
			return this.#label;
		}
		readonly #label: unknown;
		constructor(label: unknown) {
			this.#label = label;
		}
	}
	const wrong: object[] = [new Settings(5), Object.create({label: 5})];
	for (const options of wrong) {
		t.throws(() => checkAcquireOptions('/x', options), {
			code: 'ERR_INVALID_ARG_TYPE',
			message: /label must be a string/,
		});
	}
	t.is(checkAcquireOptions('/x', new Settings('blue')).label, 'blue');
	const options = {removeLockFile: false};
	const checked = checkAcquireOptions('/x', options);
	options.removeLockFile = true;
	t.false(checked.removeLockFile);
});

test.serial('the message for an option that must be an object names null', t => {
	const message = /The option replace must be an object; got null/;
	t.throws(() => checkAcquireOptions('/x', {replace: null}), {code: 'ERR_INVALID_ARG_TYPE', message});
});

test.serial('a value that is not an object is refused as options', async t => {
	for (const options of [null, 1, 'x', true, Symbol('x'), () => ({})]) {
		t.is((await refuses(t, [byAcquire, byListen], options, type)).length, 2);
	}
});

test.serial('a value that cannot be printed is refused', async t => {
	t.is((await refuses(t, [byAcquire, byListen], {label: Object.create(null)}, type)).length, 2);
});

test.serial('an invalid address is reported before an invalid option, and no file changes', async t => {
	for (const attempt of [byAcquire, byListen]) {
		await t.throwsAsync(attempt('', {label: 1}), {instanceOf: BindLockError, code: 'ERR_ADDRESS_EMPTY'});
	}
});

test.serial('the largest values are accepted, and undefined counts as absent', async t => {
	const address = join(temporaryDirectory(t), 's');
	const accepted: readonly AcquireOptions[] = [
		{},
		{waitMs: undefined, onWait: undefined, replace: undefined},
		{signal: undefined, label: undefined, removeLockFile: undefined, lockFileMode: undefined},
		{signal: new AbortController().signal, label: 'x'.repeat(200), removeLockFile: false, lockFileMode: 0o777},
		{label: '', lockFileMode: 0o600, reclaimForeign: true},
		{waitMs: 0, onWait: () => {}, replace: {}, backend: 'flock'},
		{waitMs: Number.POSITIVE_INFINITY, replace: {killSignal: 'SIGKILL', timeoutMs: 1.5, escalate: true}},
	];
	for (const options of accepted) {
		const lock = await acquire(address, options);
		t.true(lock.held);
		await lock.release();
	}
	for (const options of [
		{backlog: 0, readableAll: false, writableAll: false, socketMode: 0},
		{backlog: 0x7fff_ffff, readableAll: true, writableAll: true, socketMode: 0o777},
		{backlog: undefined, readableAll: undefined, writableAll: undefined, socketMode: undefined},
	]) {
		const lock = await listen(createServer(), address, options);
		t.true(lock.held);
		await lock.release();
	}
});
