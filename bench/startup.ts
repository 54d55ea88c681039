/**
 * What `bindlock run` adds to the start of a command, beside the start of Node itself: whole
 * processes, alternately, so that a noisy machine is noisy for both. Needs `npm run build`.
 */
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const rounds = 40;
const cli = fileURLToPath(new URL('../../dist/cli.cjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'bindlock-bench-'));

const commands = {
	node: [process.execPath, '-e', '0'],
	command: ['true'],
	run: [process.execPath, cli, 'run', join(directory, 's'), '--', 'true'],
} as const;

const times: Record<keyof typeof commands, number[]> = {node: [], command: [], run: []};
for (let round = 0; round < rounds; round++) {
	for (const name of ['node', 'command', 'run'] as const) times[name].push(measure(commands[name]));
}
rmSync(directory, {recursive: true});
const [node, command, run] = [median(times.node), median(times.command), median(times.run)];
console.log(`node -e 0           ${node.toFixed(1)} ms`);
console.log(`bindlock run … true ${run.toFixed(1)} ms`);
console.log(`added, in starts of Node: ${((run - command) / node).toFixed(2)} (at most 1.5)`);

function measure([file, ...args]: readonly [string, ...string[]]): number {
	const began = performance.now();
	const {status} = spawnSync(file, args, {stdio: 'ignore'});
	if (status !== 0) throw new Error(`${file} ${args.join(' ')}: status ${status}`);
	return performance.now() - began;
}

function median(numbers: readonly number[]): number {
	return [...numbers].sort((one, other) => one - other)[numbers.length >> 1] ?? Number.NaN;
}
