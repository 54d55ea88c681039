/**
 * Tests `bindlock reclaim` on real sockets.
 */
import {chmodSync, existsSync, readdirSync, writeFileSync} from 'node:fs';
import type {Server} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {bindlock, jsonLines, startLasting} from '../helpers/command.js';
import {temporaryDirectory} from '../helpers/programs.js';
import {makeStaleSync, serveNaively} from '../helpers/sockets.js';

test('reclaim removes stale sockets and nothing else', async t => {
	const directory = temporaryDirectory(t);
	const [stale = '', held = '', foreign = '', file = '', nothing = ''] = ['a', 'b', 'c', 'd', 'e'].map(name =>
		join(directory, name),
	);
	makeStaleSync(stale);
	await startLasting(t, [held]);
	const served: Server = serveNaively(t, foreign);
	writeFileSync(file, 'text');
	const {status, stdout} = await bindlock(['reclaim', '--json', stale, held, foreign, file, nothing]);
	t.is(status, 75);
	t.deepEqual(
		jsonLines(stdout).map(({state, removed}) => [state, removed]),
		[
			['free', true],
			['held', false],
			['foreign', false],
			['blocked', false],
			['free', false],
		],
	);
	t.false(existsSync(stale));
	t.false(existsSync(`${stale}.lock`), 'no lock file is left where there was none');
	t.true(served.listening && existsSync(foreign) && existsSync(file));
	makeStaleSync(stale);
	const text = await bindlock(['reclaim', stale]);
	t.deepEqual([text.status, text.stdout, text.stderr], [0, `removed ${stale}\n`, '']);
});

testUnless(noOtherUser())(
	"reclaim leaves another user's socket, and says who may remove it",
	async (t: ExecutionContext) => {
		const address = join(temporaryDirectory(t), 's');
		makeStaleSync(address);
		const {status, stderr} = await bindlock(['reclaim', address], {uid: otherUid});
		t.is(status, 75);
		t.regex(stderr, /was not removed: /);
		t.true(existsSync(address));
	},
);

testUnless(noOtherUser())(
	"reclaim --reclaim-foreign removes another user's dead socket if it has permission",
	async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 'of-another');
		makeStaleSync(address);
		const reclaim = async (mode: number): Promise<unknown[]> => {
			chmodSync(directory, mode);
			const {status, stdout} = await bindlock(['reclaim', '--reclaim-foreign', '--json', address], {uid: otherUid});
			const [{state, removed, reason} = {}] = jsonLines(stdout);
			return [status, state, removed, (reason as {code: string} | undefined)?.code];
		};
		chmodSync(address, 0o755);
		t.deepEqual(await reclaim(0o777), [75, 'blocked', false, 'EACCES'], 'it cannot be asked');
		chmodSync(address, 0o777);
		t.deepEqual(await reclaim(0o1777), [75, 'blocked', false, 'EPERM'], 'the directory is sticky');
		t.true(existsSync(address));
		t.deepEqual(await reclaim(0o777), [0, 'free', true, undefined]);
		t.deepEqual(readdirSync(directory), []);
		serveNaively(t, address);
		chmodSync(address, 0o777);
		t.deepEqual(await reclaim(0o777), [75, 'foreign', false, undefined]);
	},
);
