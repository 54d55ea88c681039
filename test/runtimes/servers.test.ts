/**
 * Tests `Bun.serve`, `Bun.listen`, `Deno.serve` and `Deno.listen` under `bindlock/register`: what features.ts leaves out.
 */
import {cpSync, existsSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {dirname, join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import type {ExecutionContext} from 'ava';
import {acquire, inspect} from '../../src/index.js';
import {testUnless} from '../helpers/abilities.js';
import {until} from '../helpers/deadlines.js';
import {makeStale} from '../helpers/detectors.js';
import {registerUrl} from '../helpers/library.js';
import {type Program, start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {bun, deno, type Runtime} from '../helpers/runtimes.js';
import {treeOf} from '../helpers/tree.js';

interface Case {
	readonly runtime: Runtime;
	/** Serves `address`, and sets `stop`. */
	readonly serve: string;
}

const cases: Readonly<Record<string, Case>> = {
	'Bun.serve': {
		runtime: bun,
		serve: `const server = Bun.serve({unix: address, fetch: () => new Response('')}); stop = () => server.stop();`,
	},
	'Bun.listen': {
		runtime: bun,
		serve: 'const server = Bun.listen({unix: address, socket: {data() {}}}); stop = () => server.stop();',
	},
	'Deno.serve': {
		runtime: deno,
		serve: `const server = Deno.serve({path: address, onListen() {}}, () => new Response('')); stop = () => server.shutdown();`,
	},
	'Deno.listen': {
		runtime: deno,
		serve: `const server = Deno.listen({transport: 'unix', path: address}); stop = () => server.close();`,
	},
};

/** Starts a program that serves an address under `register`, stops when it is told to, and ends with its input. */
function serveBy(
	t: ExecutionContext,
	{runtime, serve}: Case,
	address: string,
	{
		env = {},
		register = registerUrl,
	}: {readonly env?: Readonly<Record<string, string>>; readonly register?: string} = {},
): Program {
	const script = join(temporaryDirectory(t), 'program.mjs');
	writeFileSync(
		script,
		`import ${JSON.stringify(register)};
		const say = event => console.log(JSON.stringify(event));
		const address = process.argv[2];
		let stop;
		try {
			${serve}
			say({event: 'serving'});
		} catch ({code, message}) {
			say({event: 'refused', code, message});
		}
		process.stdin.on('data', async () => {
			await stop();
			say({event: 'stopped'});
		}).on('end', () => process.exit(0));`,
	);
	const {executable, nodeOptions} = runtime.options;
	return startCommand(t, executable, [...nodeOptions, script, address], {env: {BINDLOCK_FLOCK: '', ...env}});
}

for (const [title, server] of Object.entries(cases)) {
	const only = testUnless(server.runtime.obstacle);

	only(`${title}: an option that needs time is refused, and nothing is changed`, async t => {
		const directory = temporaryDirectory(t);
		await makeStale(join(directory, 's'));
		const before = treeOf(directory);
		for (const env of [{BINDLOCK_WAIT_MS: '1000'}, {BINDLOCK_REPLACE: '1'}, {BINDLOCK_BACKEND: 'lease'}]) {
			const refused = await serveBy(t, server, join(directory, 's'), {env}).expect('refused');
			t.is(refused['code'], 'ERR_INVALID_ARG_VALUE');
			t.regex(String(refused['message']), /is synchronous, so the option .* await acquire/);
		}
		t.deepEqual(treeOf(directory), before);
	});

	only(`${title}: a held address is refused, and free after the holder`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const lock = await acquire(address);
		const refused = await serveBy(t, server, address).expect('refused');
		t.is(refused['code'], 'EADDRINUSE');
		t.regex(String(refused['message']), new RegExp(`held by pid ${process.pid} `));
		await lock.release();
		const program = serveBy(t, server, address);
		await program.expect('serving');
		t.like(await inspect(address), {state: 'held', holder: {pid: program.pid}});
		program.send('stop');
		await program.expect('stopped');
		t.like(await inspect(address), {state: 'free'});
		program.end();
		t.is((await program.exited).code, 0);
	});

	only(`${title}: an excluded address is not locked`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = serveBy(t, server, address, {env: {BINDLOCK_EXCLUDE: 's$'}});
		await program.expect('serving');
		t.false(existsSync(`${address}.lock`));
		t.like(await inspect(address), {state: 'foreign', holder: {pid: program.pid}});
		program.send('stop');
		await program.expect('stopped');
	});

	only(`${title}: the removal of its socket file is a warning`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = serveBy(t, server, address);
		await program.expect('serving');
		rmSync(address);
		await until(() => program.stderr.includes('is lost: its socket file was removed'), 'the warning');
		program.send('stop');
		await program.expect('stopped');
		t.like(await inspect(address), {state: 'free'});
	});

	only(`${title}: a directory is left as it is`, async t => {
		const directory = temporaryDirectory(t);
		const refused = await serveBy(t, server, directory).expect('refused');
		t.is(refused['code'], 'ENOTSOCK');
		t.deepEqual(readdirSync(directory), []);
	});

	only(`${title}: without the command, a stale socket is ERR_LIVENESS_UNKNOWN and stays`, async t => {
		const directory = temporaryDirectory(t);
		await makeStale(join(directory, 's'));
		const library = temporaryDirectory(t, dirname(dirname(fileURLToPath(registerUrl))));
		cpSync(dirname(fileURLToPath(registerUrl)), library, {recursive: true});
		rmSync(join(library, 'cli.cjs'));
		const register = pathToFileURL(join(library, 'register.js')).href;
		const refused = await serveBy(t, server, join(directory, 's'), {register}).expect('refused');
		t.is(refused['code'], 'ERR_LIVENESS_UNKNOWN');
		t.regex(String(refused['message']), /await acquire/);
		t.deepEqual(readdirSync(directory), ['s']);
	});
}

testUnless(bun.obstacle)(
	'Bun: a server whose file was replaced leaves the other server reachable when it stops',
	async t => {
		for (const title of ['Bun.serve', 'Bun.listen']) {
			const address = join(temporaryDirectory(t), 's');
			const program = serveBy(t, cases[title] as Case, address);
			await program.expect('serving');
			rmSync(address);
			const other = createServer();
			await new Promise(resolve => other.listen(address, () => resolve(undefined)));
			t.teardown(() => other.close());
			program.send('stop');
			await program.expect('stopped');
			t.true(existsSync(address), title);
		}
	},
);

testUnless(bun.obstacle)('Bun: worker threads are refused before anything is touched', async t => {
	const directory = temporaryDirectory(t);
	const program = start(t, 'worker', [join(directory, 's')], {...bun.options, env: {BINDLOCK_FLOCK: ''}});
	program.send('start');
	t.like(await program.expect('refused'), {code: 'ERR_WORKER_UNSUPPORTED_OPERATION'});
	t.deepEqual(readdirSync(directory), []);
});
