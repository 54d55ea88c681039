/**
 * `npm run bench [-- NAME…] [--quick]`: runs all benchmarks or the named ones, stores the results in `bench/results/`,
 * and writes `docs/benchmarks.md` and its plots from them. `npm run bench -- --compare FILE` compares a result that was
 * copied elsewhere with the stored one of the same benchmark.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {type Benchmark, Context} from './harness/context.js';
import {environment} from './harness/environment.js';
import {makePlaces, type Places, removePlaces} from './harness/places.js';
import {type BenchmarkName, benchmarkNames, type Result, readResults, root, writeResult} from './harness/results.js';
import {crowd} from './measure/crowd.js';
import {safety} from './measure/safety.js';
import {scale} from './measure/scale.js';
import {startup} from './measure/startup.js';
import {take} from './measure/take.js';
import {takeover} from './measure/takeover.js';
import {waiting} from './measure/waiting.js';
import {compare} from './page/compare.js';
import {generate} from './page/generate.js';

const benchmarks: Readonly<Record<BenchmarkName, Benchmark>> = {safety, take, takeover, waiting, scale, crowd, startup};

async function main(): Promise<void> {
	const {values, positionals} = parseArgs({
		allowPositionals: true,
		options: {
			quick: {type: 'boolean', default: false},
			page: {type: 'boolean', default: false},
			compare: {type: 'string'},
		},
	});
	if (values.compare !== undefined) {
		const before = JSON.parse(readFileSync(values.compare, 'utf8')) as Result;
		const after = readResults()[before.benchmark as BenchmarkName];
		process.stdout.write(`${compare(before, after)}\n`);
		return;
	}
	const unknown = positionals.filter(name => !(benchmarkNames as readonly string[]).includes(name));
	if (unknown.length > 0) {
		process.stderr.write(`no such benchmark: ${unknown.join(', ')}; there are ${benchmarkNames.join(', ')}\n`);
		process.exitCode = 64;
		return;
	}
	installPeers();
	const names = positionals.length > 0 ? (positionals as BenchmarkName[]) : benchmarkNames;
	for (const name of values.page ? [] : names) await runOne(name, values.quick);
	await generate();
	process.stderr.write('docs/benchmarks.md is written\n');
}

async function runOne(name: BenchmarkName, quick: boolean): Promise<void> {
	const began = performance.now();
	const places: Places = makePlaces();
	const context = new Context(name, quick, places);
	const interrupted = async (): Promise<void> => {
		await context.end();
		removePlaces(places);
		process.exit(130);
	};
	process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
	try {
		const {measurements = [], counts = [], unavailable = []} = await benchmarks[name](context);
		writeResult({benchmark: name, quick, environment: environment(places), measurements, counts, unavailable});
	} finally {
		process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
		await context.end();
		removePlaces(places);
	}
	const seconds = Math.round((performance.now() - began) / 1000);
	process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${name}: done in ${seconds} s\n`);
}

/** Dependencies of `bench/` only. A peer that cannot be built is optional and reported. */
function installPeers(): void {
	const directory = fileURLToPath(new URL('bench', root));
	if (existsSync(new URL('bench/node_modules/.package-lock.json', root))) return;
	process.stderr.write('installing the peers into bench/node_modules\n');
	const {status} = spawnSync('npm', ['ci', '--prefix', directory], {stdio: ['ignore', 'inherit', 'inherit']});
	if (status !== 0) throw new Error('npm ci in bench/ failed');
}

await main();
