/**
 * Tests `bindlock list` with a filesystem that does not respond.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import {basename, join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {testUnless} from '../../helpers/abilities.js';
import {bindlock, jsonLines} from '../../helpers/command.js';
import {makeStale} from '../../helpers/detectors.js';
import {checkLeaks} from '../../helpers/leaks.js';
import {hang, mountByFuse, noFuse} from '../../helpers/mounts.js';
import {type Program, start, temporaryDirectory} from '../../helpers/programs.js';
import {startSocket} from '../../helpers/sockets.js';

checkLeaks();

interface Scene {
	readonly directory: string;
	/** The FUSE server of `mirror`, which mirrors another directory. */
	readonly fuse: Program;
}

/** Starts servers on a FUSE mount, with an absolute and a relative path, and one server elsewhere. */
async function startServers(t: ExecutionContext): Promise<Scene> {
	const directory = temporaryDirectory(t);
	const fuse = await mountByFuse(t, temporaryDirectory(t), join(directory, 'mirror'));
	await start(t, 'holder', ['listen', join(directory, 'mirror/absolute')]).expect('held');
	await startSocket(t, 'bound', relativeIn(directory), {cwd: join(directory, 'mirror')});
	await makeStale(join(directory, 'stale'));
	return {directory, fuse};
}

/** Returns a unique name for each test, because `list` shows the relative paths of all tests. */
function relativeIn(directory: string): string {
	return `relative-${basename(directory)}`;
}

async function statesOf(directory: string, args: readonly string[], env: Record<string, string> = {}): Promise<object> {
	const relative = relativeIn(directory);
	const {status, stdout, stderr} = await bindlock(['list', '--json', ...args], {env});
	if (status !== 0) throw new Error(stderr);
	const rows = jsonLines(stdout) as {address: string; state: string}[];
	const ours = rows.filter(({address}) => address.startsWith(directory) || address === relative);
	const plain = (address: string): string => address.replace(directory, '').replace(relative, 'relative');
	return Object.fromEntries(ours.map(({address, state}) => [plain(address), state]));
}

const maybe = testUnless(noFuse());

maybe('a socket on a mount that hangs is unknown, and list ends', async t => {
	const {directory, fuse} = await startServers(t);
	hang(t, fuse);
	const unknown = {'/mirror/absolute': 'unknown', relative: 'unknown'};
	t.deepEqual(await statesOf(directory, []), unknown);
	t.deepEqual(await statesOf(directory, [], {PATH: directory}), unknown, 'without ss');
	t.deepEqual(await statesOf(directory, [directory]), {...unknown, '/stale': 'stale'});
});

maybe('a socket on a mount that may hang is checked if its directory is on the command line', async t => {
	const {directory} = await startServers(t);
	const told = {'/mirror/absolute': 'held', '/mirror/relative': 'foreign'};
	t.deepEqual(await statesOf(directory, [join(directory, 'mirror')]), told);
});

maybe('a lock file that is a mount point of a filesystem that hangs', async t => {
	const directory = temporaryDirectory(t);
	await start(t, 'holder', ['plain', join(directory, 'served')]).expect('listening');
	await makeStale(join(directory, 'stale'));
	mkdirSync(join(directory, 'real'));
	writeFileSync(join(directory, 'real/lock'), '');
	const fuse = await mountByFuse(t, join(directory, 'real'), join(directory, 'mirror'));
	for (const name of ['served', 'stale', 'none']) {
		const lock = join(directory, `${name}.lock`);
		writeFileSync(lock, '');
		execFileSync('mount', ['--bind', join(directory, 'mirror/lock'), lock]);
		t.teardown(() => spawnSync('umount', ['-l', lock]));
	}
	hang(t, fuse);
	t.deepEqual(await statesOf(directory, [directory]), {'/served': 'foreign', '/stale': 'unknown'});
});
