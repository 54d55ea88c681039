/**
 * Tests an unexpected error of each call of the protocol in turn: files of other programs stay, no
 * descriptor leaks, and the address is still usable.
 */
import {closeSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire} from '../../src/index.js';
import {runSync} from '../../src/model/driver.js';
import type {System} from '../../src/model/system.js';
import {releaseLock} from '../../src/protocol/held-lock.js';
import {until} from '../helpers/deadlines.js';
import {makeStale} from '../helpers/detectors.js';
import {checkLeaks, countDescriptors} from '../helpers/leaks.js';
import {start, temporaryDirectory} from '../helpers/programs.js';
import {giveBack, takeWith, wrap} from '../helpers/protocol.js';
import {contentOf, type Entry} from '../helpers/tree.js';

checkLeaks();

interface Faulty {
	readonly system: System;
	/** The call that failed, if there were enough calls. */
	failed(): string | undefined;
}

/** A system whose nth call fails. */
function failingAt(nth: number): Faulty {
	let calls = 0;
	let failed: string | undefined;
	const system = wrap((name, proceed, [first]) => {
		if (calls++ !== nth) return proceed();
		failed = name;
		// On Linux, close(2) releases the descriptor even if it fails.
		if (name === 'close') closeSync(first as number);
		throw Object.assign(new Error(`EIO: i/o error, ${name}`), {code: 'EIO', errno: -5, syscall: name});
	});
	return {system, failed: () => failed};
}

interface Scene {
	readonly prepare: (t: ExecutionContext, address: string) => Promise<unknown>;
	/** The outcome if no call fails. */
	readonly otherwise: 'taken' | 'EADDRINUSE' | 'ENOTSOCK';
	/** Another process has the lock file, which stays. */
	readonly locked?: true;
	/** The calls that must have failed at least once. */
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
	'a foreign server': {
		prepare: (t, address) => start(t, 'naive', [address]).expect('listening'),
		otherwise: 'EADDRINUSE',
		calls: [...opening, 'pin', 'bound', 'close'],
	},
	'a server with the lock': {
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
	test.serial(`taking an address with each call failing in turn: ${what}`, async t => {
		const failed = new Set<string>();
		let address = '';
		for (let nth = 0; ; nth++) {
			// An address that is never taken needs one preparation only.
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
			await until(() => countDescriptors() === descriptors, `open descriptors after a failed ${fault}`);

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
	test.serial(
		`releasing with each call failing in turn: the lock is released (removeLockFile: ${removeLockFile})`,
		async t => {
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
		},
	);
}

function besidesLockFiles(address: string): Entry[] {
	return contentOf(dirname(address)).filter(({name}) => !name.endsWith('.lock'));
}

function codeOf(error: unknown): string {
	return String((error as NodeJS.ErrnoException).code);
}
