/**
 * Every call of the protocol fails in turn, with an error that it has no sentence for: nothing of
 * anybody else is touched, no descriptor is kept, and the address can be used as before.
 */
import {closeSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire} from '../../src/index.js';
import type {System} from '../../src/model/system.js';
import {runSync} from '../../src/model/system.js';
import {releaseLock} from '../../src/protocol/lock-file.js';
import {until} from '../helpers/deadlines.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks, countDescriptors} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {giveBack, takeWith, wrap} from '../helpers/protocol.js';
import {contentOf, type Entry} from '../helpers/tree.js';

checkLeaks();

interface Faulty {
	readonly system: System;
	/** Which call failed, if it has come to it. */
	failed(): string | undefined;
}

/** This machine, but the nth call fails. */
function failingAt(nth: number): Faulty {
	let calls = 0;
	let failed: string | undefined;
	const system = wrap((name, proceed, [first]) => {
		if (calls++ !== nth) return proceed();
		failed = name;
		// Linux has closed the descriptor although it reports an error.
		if (name === 'close') closeSync(first as number);
		throw Object.assign(new Error(`EIO: i/o error, ${name}`), {code: 'EIO', errno: -5, syscall: name});
	});
	return {system, failed: () => failed};
}

interface Scene {
	readonly prepare: (t: ExecutionContext, address: string) => Promise<unknown>;
	/** What a taking comes to if no call fails. */
	readonly otherwise: 'taken' | 'EADDRINUSE' | 'ENOTSOCK';
	/** The lock file is somebody's, and stays from one time to the next. */
	readonly locked?: true;
	/** Calls that must have been made to fail; else the test tests less than it says. */
	readonly calls: readonly string[];
}

const opening = ['openLockFile', 'fstat', 'flock', 'lstat'];

const scenes: Readonly<Record<string, Scene>> = {
	'nothing there': {prepare: async () => {}, otherwise: 'taken', calls: [...opening, 'write']},
	'a stale socket and the record of its server': {
		async prepare(_, address) {
			await makeStale(address);
			writeFileSync(`${address}.lock`, '4194999\n{"bindlock":1,"pid":4194999,"fd":3}\n');
		},
		otherwise: 'taken',
		calls: [...opening, 'read', 'pin', 'bound', 'connect', 'unlink', 'close', 'truncate', 'write'],
	},
	'a server that takes no lock': {
		prepare: (t, address) => start(t, 'naive', [address]).expect('listening'),
		otherwise: 'EADDRINUSE',
		calls: [...opening, 'pin', 'bound', 'close'],
	},
	'a server that has the lock': {
		prepare: (t, address) => start(t, 'holder', ['listen', address]).expect('held'),
		otherwise: 'EADDRINUSE',
		locked: true,
		calls: [...opening, 'read', 'contention', 'close'],
	},
	'a file': {
		prepare: async (_, address) => writeFileSync(address, 'precious'),
		otherwise: 'ENOTSOCK',
		calls: [...opening, 'close'],
	},
};

for (const [what, {prepare, otherwise, locked, calls}] of Object.entries(scenes)) {
	test.serial(`taking an address, each call failing in turn: ${what}`, async t => {
		const failed = new Set<string>();
		let address = '';
		for (let nth = 0; ; nth++) {
			// What is never taken needs to be prepared only once.
			if (address === '' || otherwise === 'taken') {
				address = join(temporaryDirectory(t), 's');
				await prepare(t, address);
				writeFileSync(`${address}.neighbour`, 'precious');
			} else if (!locked) rmSync(`${address}.lock`, {force: true});
			const before = besidesLockFiles(address);
			const descriptors = countDescriptors();
			const faulty = failingAt(nth);
			const outcome = await takeWith(faulty.system, address).catch(codeOf);
			const fault = faulty.failed();
			if (typeof outcome === 'object') giveBack(address, outcome);
			else t.true([otherwise, 'EIO'].includes(outcome), `${fault} fails: ${outcome}`);
			await until(() => countDescriptors() === descriptors, `the descriptors of before, after ${fault} failed`);

			const rightful = typeof outcome === 'object' ? before.filter(({name}) => name !== 's') : before;
			t.deepEqual(besidesLockFiles(address), rightful, `${fault} fails`);
			const next = await acquire(address).then(async lock => (await lock.release()) ?? 'taken', codeOf);
			t.is(next, otherwise, `${fault} fails`);
			if (fault === undefined) break;
			failed.add(fault);
		}
		const never = calls.filter(name => !failed.has(name));
		t.deepEqual(never, [], 'calls that never failed');
	});
}

for (const removeLockFile of [false, true]) {
	test.serial(`giving back, each call failing in turn: the lock goes (removeLockFile: ${removeLockFile})`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const failed: (string | undefined)[] = [];
		do {
			const descriptors = countDescriptors();
			const lock = await takeWith(failingAt(Number.POSITIVE_INFINITY).system, address);
			const faulty = failingAt(failed.length);
			t.notThrows(() => runSync(releaseLock(`${address}.lock`, lock, removeLockFile), faulty.system));
			t.is(countDescriptors(), descriptors);
			await (await acquire(address)).release();
			failed.push(faulty.failed());
		} while (failed.at(-1) !== undefined);
		t.deepEqual(failed, [...(removeLockFile ? ['lstat', 'unlink'] : ['truncate']), 'close', undefined]);
	});
}

function besidesLockFiles(address: string): Entry[] {
	return contentOf(dirname(address)).filter(({name}) => !name.endsWith('.lock'));
}

function codeOf(error: unknown): string {
	return String((error as NodeJS.ErrnoException).code);
}
