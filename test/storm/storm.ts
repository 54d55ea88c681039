/**
 * `npm run storm -- --minutes M --processes P [--seed S]`: runs a storm. On a violation it keeps the evidence and exits
 * with 1.
 */
import {parseArgs} from 'node:util';
import type {Tally} from './arena.js';
import {storm} from './run.js';

const {values} = parseArgs({
	options: {
		minutes: {type: 'string', default: '1'},
		processes: {type: 'string', default: '8'},
		seed: {type: 'string', default: String(Date.now() % 1_000_000)},
	},
});

function describe(tally: Tally): string {
	return Object.entries(tally)
		.map(([name, count]) => `${name} ${count}`)
		.join(', ');
}

async function main(): Promise<void> {
	const [minutes, processes, seed] = [Number(values.minutes), Number(values.processes), Number(values.seed)];
	process.stdout.write(`seed ${seed}, ${processes} processes, ${minutes} minutes\n`);
	const began = performance.now();
	const {tally, violations, directory} = await storm({
		milliseconds: minutes * 60_000,
		processes,
		seed,
		progress: progress => {
			const seconds = Math.round((performance.now() - began) / 1000);
			process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${seconds} s: ${describe(progress)}`);
			if (!process.stderr.isTTY) process.stderr.write('\n');
		},
	});
	process.stdout.write(`\n${describe(tally)}\n${violations.length} violations\n`);
	for (const violation of violations) process.stdout.write(`VIOLATION: ${violation}\n`);
	if (violations.length === 0) return;
	process.stdout.write(`evidence in ${directory}; again with --seed ${seed}\n`);
	process.exitCode = 1;
}

await main();
