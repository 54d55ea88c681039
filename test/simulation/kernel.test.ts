/**
 * Compares the simulated kernel with Linux: the same scripts of calls must have the same results.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {noAddon, testUnless} from '../helpers/abilities.js';
import {Kernel} from './kernel.js';
import {type Pipe, RealSystem} from './real.js';
import {type Line, names, runScript, script} from './scripts.js';
import {type SimulatedListener, SimulatedSystem} from './system.js';

const runs = Number(process.env['SCRIPTS'] ?? 400);
/** A fixed seed makes the scripts reproducible. The environment variable SEED replaces it. */
const seed = Number(process.env['SEED'] ?? 4);

function simulated(lines: readonly Line[]): Promise<unknown[]> {
	const kernel = new Kernel(names, [0]);
	kernel.create('d', {type: 'directory'});
	const system = new SimulatedSystem(kernel, 0);
	return runScript<SimulatedListener>(
		{
			system,
			pathOf: name => name,
			bind: path => ({descriptor: system.bind(path), path}),
			listen: ({descriptor}) => system.listen(descriptor),
			stop: listener => system.closeListener(listener),
		},
		lines,
	);
}

async function real(lines: readonly Line[]): Promise<unknown[]> {
	const directory = mkdtempSync(join(tmpdir(), 'bl-'));
	mkdirSync(join(directory, 'd'));
	const system = new RealSystem(directory);
	try {
		return await runScript<Pipe>(
			{
				system,
				pathOf: name => join(directory, name),
				bind: path => system.bind(path),
				listen: pipe => system.listen(pipe),
				stop: pipe => system.closeListener(pipe),
			},
			lines,
		);
	} finally {
		rmSync(directory, {recursive: true});
	}
}

const onLinux = testUnless(
	noAddon(),
	process.platform === 'linux' ? undefined : 'the simulated kernel is that of Linux',
);

onLinux(`${runs} generated scripts of calls have the same results on the simulated kernel and on this one`, async t => {
	const before = readdirSync('/proc/self/fd').length;
	const outcomes = new Set<string>();
	const same = fc.asyncProperty(script, async lines => {
		const [expected, found] = [await real(lines), await simulated(lines)];
		for (const [index, result] of expected.entries()) outcomes.add(`${lines[index]?.call}: ${JSON.stringify(result)}`);
		t.deepEqual(found, expected);
	});
	await t.notThrowsAsync(fc.assert(same, {numRuns: runs, seed}));
	t.log(`${outcomes.size} different outcomes of a call`);
	// The scripts reach the outcomes that the protocol depends on.
	for (const outcome of [
		'connect: "CONNECTED"',
		'connect: "UNPROVED"',
		'connectPinned: "ECONNREFUSED"',
		'bound: true',
		'flock: false',
	]) {
		t.true(outcomes.has(outcome), outcome);
	}
	t.is(readdirSync('/proc/self/fd').length, before);
});

onLinux('a lock ends with the last descriptor of its open file description, or with one unlock', t => {
	const kernel = new Kernel(names, [0, 0]);
	const [predecessor, newcomer] = [new SimulatedSystem(kernel, 0), new SimulatedSystem(kernel, 1)];
	const lock = predecessor.openOrCreate('a');
	const other = newcomer.openOrCreate('a');
	const inherit = (): SimulatedSystem => {
		kernel.share(0, lock, 1);
		return new SimulatedSystem(kernel, 1);
	};
	const simulated = [predecessor.flock(lock), inherit().close(1), newcomer.flock(other)];
	simulated.push(inherit().flockUnlock(1), newcomer.flock(other));

	const directory = mkdtempSync(join(tmpdir(), 'bl-'));
	t.teardown(() => rmSync(directory, {recursive: true}));
	const system = new RealSystem(directory);
	const path = join(directory, 'a');
	const [mine, theirs] = [system.openLockFile(path, true, 0o600), system.openLockFile(path, false, 0o600)];
	t.teardown(() => [mine, theirs].forEach(descriptor => void system.close(descriptor)));
	const child = (program: string, ...args: string[]): undefined => {
		execFileSync(program, args, {stdio: ['ignore', 'ignore', 'ignore', mine]});
	};
	const real = [
		system.flock(mine),
		child('true'),
		system.flock(theirs),
		child('flock', '-u', '3'),
		system.flock(theirs),
	];
	t.deepEqual(simulated, real);
	t.deepEqual(real, [true, undefined, false, undefined, true]);
});
