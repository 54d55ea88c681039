/**
 * Compares the simulated kernel with Linux: the same scripts of calls must have the same results.
 */
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
