/**
 * The two ways to take a protocol on: its calls made where they stand, as on this machine, and
 * yielded as data, as in the simulation. What one shows is true of the other only if they are the same.
 */
import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {NodeSystem, run, runSync} from '../../src/kernel/node-system.js';
import {codeOf} from '../../src/model/errors.js';
import {call, type Protocol, type System} from '../../src/model/system.js';
import {giveBackLock} from '../../src/protocol/lock-file.js';
import {take} from '../../src/protocol/pathname.js';
import {granted} from '../../src/protocol/refusals.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {claim, pathname, wrap} from '../helpers/protocol.js';
import {serveNaively} from '../helpers/sockets.js';

checkLeaks();

type Method = (...parameters: readonly unknown[]) => unknown;

/** As the simulation does it: every call is yielded, and made outside. */
async function runYielded<Result>(protocol: Protocol<Result>, system: System): Promise<Result> {
	let step = protocol.next();
	while (!step.done) {
		const {name, parameters} = step.value;
		let answer: {readonly value: unknown} | {readonly error: unknown};
		try {
			answer = {value: await Reflect.apply(system[name] as Method, system, parameters)};
		} catch (error) {
			answer = {error};
		}
		step = 'error' in answer ? protocol.throw(answer.error) : protocol.next(answer.value);
	}
	return step.value;
}

/** Takes the address and gives it back; which calls that made, and what came of it. */
async function traceOf(address: string, drive: typeof runYielded | typeof run): Promise<object> {
	const calls: string[] = [];
	const system = wrap((name, proceed, parameters) => {
		calls.push(`${name} ${parameters.filter(one => typeof one === 'string' && !one.startsWith(`${process.pid}\n`))}`);
		return proceed();
	});
	function* takeAndGiveBack(): Protocol<boolean> {
		const {lock, reclaimed} = granted(yield* take(pathname(address), claim));
		yield* giveBackLock(pathname(address).lockPath, lock, false);
		return reclaimed;
	}
	try {
		return {calls, reclaimed: await drive(takeAndGiveBack(), system)};
	} catch (error) {
		return {calls, code: codeOf(error)};
	}
}

test.serial('both ways make the same calls in the same order, and come to the same end', async t => {
	const directory = temporaryDirectory(t);
	const holder = start(t, 'holder', ['listen', join(directory, 'held')]);
	await holder.expect('held');
	serveNaively(t, join(directory, 'foreign'));
	mkdirSync(join(directory, 'directory'));
	writeFileSync(join(directory, 'somebodys.lock'), 'a diary');
	const ends: Record<string, unknown> = {};
	for (const name of ['fresh', 'left', 'stale', 'held', 'foreign', 'directory', 'somebodys', 'nowhere/s']) {
		const address = join(directory, name);
		const traces: {calls?: string[]}[] = [];
		for (const drive of [run, runYielded]) {
			if (name === 'fresh') rmSync(`${address}.lock`, {force: true});
			if (name === 'left' || name === 'stale') writeFileSync(`${address}.lock`, '');
			if (name === 'stale') await makeStale(address);
			traces.push(await traceOf(address, drive));
		}
		t.deepEqual(traces[0], traces[1], name);
		const {calls = [], ...end} = traces[0] ?? {};
		t.true(calls.length > 1, name);
		ends[name] = end;
	}
	t.deepEqual(ends, {
		fresh: {reclaimed: false},
		left: {reclaimed: false},
		stale: {reclaimed: true},
		held: {code: 'EADDRINUSE'},
		foreign: {code: 'EADDRINUSE'},
		directory: {code: 'ENOTSOCK'},
		somebodys: {code: 'ERR_LOCK_FILE_FOREIGN'},
		'nowhere/s': {code: 'ENOENT'},
	});
});

test('what a call throws, or rejects with, is thrown where the call stands', async t => {
	const seen: unknown[] = [];
	function* protocol(): Protocol<string> {
		for (const path of ['thrown', 'rejected']) {
			try {
				yield* call('connect', path, undefined);
			} catch (error) {
				seen.push((error as Error).message);
			}
		}
		return yield* call('connect', 'answered', undefined);
	}
	const system = new NodeSystem('');
	system.connect = path => {
		if (path === 'thrown') throw new Error(path);
		return path === 'rejected' ? Promise.reject(new Error(path)) : Promise.resolve(path);
	};
	t.is(await run(protocol(), system), 'answered');
	t.deepEqual(seen, ['thrown', 'rejected']);
});

test('a protocol that is run within another one leaves that its machine', async t => {
	const asked: string[] = [];
	const named = (name: string): NodeSystem => {
		const system = new NodeSystem('');
		system.lstat = path => void asked.push(`${name} ${path}`);
		system.connect = async path => path;
		return system;
	};
	function* inner(fails: boolean): Protocol<void> {
		yield* call('lstat', 'inside');
		if (fails) throw new Error('inside');
	}
	function* outer(): Protocol<void> {
		yield* call('lstat', 'before');
		runSync(inner(false), named('inner'));
		t.throws(() => runSync(inner(true), named('inner')), {message: 'inside'});
		yield* call('lstat', 'between');
		yield* call('connect', 'waited for', undefined);
		yield* call('lstat', 'after');
	}
	const running = run(outer(), named('outer'));
	// While that one waits.
	runSync(inner(false), named('third'));
	await running;
	t.deepEqual(asked, ['outer before', 'inner inside', 'inner inside', 'outer between', 'third inside', 'outer after']);
});

test('outside of any driver a call is yielded', t => {
	const {done, value} = call('lstat', 'path').next();
	t.false(done);
	t.deepEqual(value, {name: 'lstat', parameters: ['path']});
});
