/**
 * What the core costs, as ratios within one run: taking and giving back a free address beside a C
 * loop of the same system calls, a refusal as the machine's locks grow, and the import.
 */
import {execFileSync, spawnSync} from 'node:child_process';
import {closeSync, mkdtempSync, openSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {acquire, type BindLockError} from '../src/index.js';

const rounds = 15;

async function main(): Promise<void> {
	for (const parent of ['/dev/shm', tmpdir()]) {
		const directory = mkdtempSync(join(parent, 'bindlock-bench-'));
		try {
			await takeAndGiveBack(directory);
			await refusals(directory);
			if (parent === '/dev/shm') imports(directory);
		} finally {
			rmSync(directory, {recursive: true});
		}
	}
}

/** Alternately, so that a noisy machine is noisy for both. */
async function takeAndGiveBack(directory: string): Promise<void> {
	const address = join(directory, 'address');
	const compiled = compile(directory, 'take');
	await takeMany(address, 50_000);
	const ours: number[] = [];
	const limit: number[] = [];
	for (let round = 0; round < rounds; round++) {
		ours.push(await takeMany(address, 5000));
		if (compiled !== undefined) {
			limit.push(Number(execFileSync(compiled, [`${address}.lock`, address, '5000'], {encoding: 'utf8'})) / 1000);
		}
	}
	const ratio =
		compiled === undefined
			? 'no C compiler here, so no ratio'
			: `C loop ${show(limit)}, ratio ${(median(ours) / median(limit)).toFixed(2)}`;
	console.log(`take and give back, ${directory}: ${show(ours)}; ${ratio}`);
}

async function takeMany(address: string, count: number): Promise<number> {
	const begin = process.hrtime.bigint();
	for (let i = 0; i < count; i++) await (await acquire(address)).release();
	return microsecondsEach(begin, count);
}

async function refusals(directory: string): Promise<void> {
	const address = join(directory, 'taken');
	await using _held = await acquire(address);
	await refuseMany(address, 20_000);
	const few: number[] = [];
	const many: number[] = [];
	for (let round = 0; round < rounds; round++) few.push(await refuseMany(address, 1000));
	const others = lockOthers(directory, 10_000);
	for (let round = 0; round < rounds; round++) many.push(await refuseMany(address, 1000));
	for (const descriptor of others) closeSync(descriptor);
	const growth = (median(many) / median(few)).toFixed(2);
	console.log(
		`refusal with a verified holder, ${directory}: ${show(few)}; with ${others.length} more locks on the machine ${show(many)}, ratio ${growth}`,
	);
}

async function refuseMany(address: string, count: number): Promise<number> {
	const begin = process.hrtime.bigint();
	for (let i = 0; i < count; i++) {
		try {
			await acquire(address);
		} catch (error) {
			if ((error as BindLockError).holder?.verifiedBy !== 'kernel') throw error;
		}
	}
	return microsecondsEach(begin, count);
}

/** As many other flocks as this process may hold, up to `count`. */
function lockOthers(directory: string, count: number): number[] {
	const {flockSync} = createRequire(import.meta.url)('fs-ext') as {flockSync(descriptor: number, flags: string): void};
	const held: number[] = [];
	try {
		for (let i = 0; i < count; i++) {
			const descriptor = openSync(join(directory, `other${i}`), 'w');
			flockSync(descriptor, 'exnb');
			held.push(descriptor);
		}
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
		for (const descriptor of held.splice(-50)) closeSync(descriptor);
	}
	return held;
}

/** Whole processes: a program of one file with and without the import of the built package. */
function imports(directory: string): void {
	const bare = join(directory, 'bare.mjs');
	const importing = join(directory, 'importing.mjs');
	writeFileSync(bare, "import 'node:net';\n");
	writeFileSync(
		importing,
		`import 'node:net';\nimport ${JSON.stringify(new URL('../../dist/index.js', import.meta.url))};\n`,
	);
	const without: number[] = [];
	const added: number[] = [];
	for (let round = 0; round < 2 * rounds; round++) {
		const base = wholeProcess(bare);
		without.push(base);
		added.push(wholeProcess(importing) - base);
	}
	console.log(
		`import: adds ${median(added).toFixed(1)} ms to a process of ${median(without).toFixed(1)} ms that imports node:net`,
	);
}

function wholeProcess(script: string): number {
	const begin = process.hrtime.bigint();
	execFileSync(process.execPath, [script]);
	return Number(process.hrtime.bigint() - begin) / 1e6;
}

function compile(directory: string, name: string): string | undefined {
	const source = fileURLToPath(new URL(`../../bench/c/${name}.c`, import.meta.url));
	const output = join(directory, name);
	return spawnSync('cc', ['-O2', '-o', output, source], {stdio: 'inherit'}).status === 0 ? output : undefined;
}

function microsecondsEach(begin: bigint, count: number): number {
	return Number(process.hrtime.bigint() - begin) / count / 1000;
}

function median(values: readonly number[]): number {
	return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function show(values: readonly number[]): string {
	return `${median(values).toFixed(1)} µs (${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)})`;
}

await main();
