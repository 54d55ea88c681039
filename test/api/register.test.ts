/**
 * Tests `bindlock/register`: it protects a program that does not use bindlock, and changes nothing else that the program sees.
 */
import {execFile} from 'node:child_process';
import {chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {acquire, inspect} from '../../src/index.js';
import {noOtherUser, otherUid, testUnless} from '../helpers/abilities.js';
import {atLoad, patienceMs, until} from '../helpers/deadlines.js';
import {makeStale, reach} from '../helpers/detectors.js';
import {getText} from '../helpers/http.js';
import {indexUrl, registerUrl} from '../helpers/library.js';
import {type Program, type StartOptions, start, startCommand, temporaryDirectory} from '../helpers/programs.js';
import {serveNaively} from '../helpers/sockets.js';
import {transcribe} from '../helpers/transcripts.js';

const run = promisify(execFile);

test('with register the socket is removed at process exit; without, it stays', async t => {
	t.regex(await transcribe(t, 'the end of the process'), /exit 3\nsocket left/);
	t.regex(await transcribe(t, 'the end of the process', '--import', registerUrl), /exit 3\nsocket gone/);
});

/** A plain server of `node:net`. */
function plain(t: ExecutionContext, address: string, options: StartOptions = {}): Program {
	return start(t, 'holder', ['plain', address], {nodeOptions: ['--import', registerUrl], ...options});
}

test('a second server is refused with the holder; after SIGKILL the next one reclaims the stale socket', async t => {
	const address = join(temporaryDirectory(t), 's');
	const first = plain(t, address);
	await first.expect('listening');
	const second = plain(t, address);
	const refusal = await second.expect('refused');
	t.like(refusal, {code: 'EADDRINUSE', errno: -98, syscall: 'listen', holder: {pid: first.pid, verified: true}});
	await first.kill();
	t.like(await inspect(address), {state: 'stale'});
	const third = plain(t, address);
	await third.expect('listening');
	t.is(await reach(address), third.pid);
	third.send('close');
	await third.expect('closed');
	t.false(existsSync(address));
	t.is(readFileSync(`${address}.lock`, 'utf8'), '');
});

test('abstract: a second server is refused', async t => {
	const address = `\0bindlock-register-${process.pid}`;
	// A command-line argument cannot contain NUL, so the program builds the name.
	const script = `import {createServer} from 'node:net';
		createServer().on('error', ({code, holder}) => { console.log(JSON.stringify({event: 'refused', code, pid: holder.pid})); })
			.listen(${JSON.stringify(address)}, () => console.log(JSON.stringify({event: 'listening'})));
		process.stdin.on('end', () => process.exit()).resume();`;
	const program = join(temporaryDirectory(t), 'abstract.mjs');
	writeFileSync(program, script);
	const first = startCommand(t, process.execPath, ['--import', registerUrl, program]);
	await first.expect('listening');
	const second = startCommand(t, process.execPath, ['--import', registerUrl, program]);
	t.like(await second.expect('refused'), {code: 'EADDRINUSE', pid: first.pid});
});

test('BINDLOCK_WAIT_MS alone: a new server waits for the old one to exit', async t => {
	const address = join(temporaryDirectory(t), 's');
	const first = plain(t, address);
	await first.expect('listening');
	const second = plain(t, address, {env: {BINDLOCK_WAIT_MS: '20000'}});
	await until(async () => existsSync(`/proc/${second.pid}`), 'it runs');
	first.send('close');
	await first.expect('closed');
	await second.expect('listening');
	t.is(await reach(address), second.pid);
});

test('BINDLOCK_REPLACE signals the old server; BINDLOCK_EXCLUDE leaves addresses unprotected', async t => {
	const address = join(temporaryDirectory(t), 's');
	const first = plain(t, address);
	await first.expect('listening');
	const excluded = plain(t, address, {env: {BINDLOCK_EXCLUDE: '/s$'}});
	t.like(await excluded.expect('refused'), {code: 'EADDRINUSE', ours: false});
	const second = plain(t, address, {env: {BINDLOCK_REPLACE: 'SIGTERM', BINDLOCK_LABEL: 'blue'}});
	await second.expect('listening');
	t.like(await first.exited, {signal: 'SIGTERM'});
	t.like(await inspect(address), {holder: {pid: second.pid, label: 'blue'}});
});

testUnless(noOtherUser())(
	'BINDLOCK_RECLAIM_FOREIGN and BINDLOCK_LOCK_FILE_MODE: two users share an address',
	async t => {
		const directory = temporaryDirectory(t);
		const address = join(directory, 'registered');
		chmodSync(directory, 0o777);
		const env = {BINDLOCK_LOCK_FILE_MODE: '0666', BINDLOCK_RECLAIM_FOREIGN: '1'};
		const first = plain(t, address, {env});
		await first.expect('listening');
		t.is(statSync(`${address}.lock`).mode & 0o777, 0o666);
		await first.kill();
		chmodSync(address, 0o777);
		const refused = plain(t, address, {uid: otherUid, env: {BINDLOCK_RECLAIM_FOREIGN: '0'}});
		t.like(await refused.expect('refused'), {code: 'EPERM'});
		const second = plain(t, address, {uid: otherUid, env});
		await second.expect('listening');
		t.is(await reach(address), second.pid);
	},
);

test('BINDLOCK_REPLACE: a second server of the same process is EADDRINUSE, as with Node alone', async t => {
	const script = `const {createServer} = require('node:net');
		const [first, second] = [createServer(), createServer()];
		second.on('error', ({code, errno, syscall}) => {
			console.log(code, errno, syscall);
			first.close();
		});
		first.listen(process.argv[1], () => second.listen(process.argv[1]));`;
	const env = {...process.env, BINDLOCK_REPLACE: '1'};
	const address = join(temporaryDirectory(t), 's');
	const {stdout} = await run(process.execPath, ['--import', registerUrl, '-e', script, address], {env});
	t.is(stdout, 'EADDRINUSE -98 listen\n');
});

for (const [name, value] of Object.entries({
	BINDLOCK_WAIT_MS: 'soon',
	BINDLOCK_REPLACE: 'TERM',
	BINDLOCK_BACKEND: 'x',
	BINDLOCK_HEAL: 'maybe',
	BINDLOCK_LOCK_FILE_MODE: 'rw',
	BINDLOCK_RECLAIM_FOREIGN: 'maybe',
	BINDLOCK_EXCLUDE: '(',
})) {
	test(`${name}=${value} is an error at start, which names the variable`, async t => {
		const error = await t.throwsAsync(
			run(process.execPath, ['--import', registerUrl, '-e', '0'], {env: {...process.env, [name]: value}}),
		);
		t.regex(String((error as {stderr?: string}).stderr), new RegExp(`${name} is wrong.*ERR_INVALID_ARG_VALUE`, 's'));
	});
}

/** Runs a program under register in its own directory; returns its output. */
async function output(t: ExecutionContext, name: string, text: string, ...options: readonly string[]): Promise<string> {
	const directory = temporaryDirectory(t);
	writeFileSync(join(directory, name), text);
	const {stdout} = await run(process.execPath, [...options, name], {cwd: directory, timeout: atLoad(patienceMs)});
	return stdout;
}

test('a relative address after chdir: close() removes the own socket, and no file in the new directory', async t => {
	const directory = temporaryDirectory(t);
	const [ours, theirs] = [join(directory, 'a', 's'), join(directory, 'b', 's')];
	mkdirSync(join(directory, 'a'));
	mkdirSync(join(directory, 'b'));
	const other = serveNaively(t, theirs);
	const text = `const server = require('node:net').createServer();
		process.chdir(${JSON.stringify(join(directory, 'a'))});
		server.listen('s', () => {
			console.log(server.address());
			process.chdir(${JSON.stringify(join(directory, 'b'))});
			server.close(() => console.log('close'));
		});`;
	t.is(await output(t, 'app.cjs', text, '--import', registerUrl), 's\nclose\n');
	t.false(existsSync(ours));
	t.true(other.listening && existsSync(theirs));
});

test('a relative address is not bound in another directory when its lock is granted', async t => {
	const directory = temporaryDirectory(t);
	mkdirSync(join(directory, 'a'));
	mkdirSync(join(directory, 'b'));
	const lock = await acquire(join(directory, 'a', 's'));
	const program = join(directory, 'app.cjs');
	writeFileSync(
		program,
		`const say = event => console.log(JSON.stringify({event}));
		const server = require('node:net').createServer();
		process.chdir(${JSON.stringify(join(directory, 'a'))});
		server.on('error', ({code}) => say(code)).listen('s', () => say('listening'));
		process.chdir(${JSON.stringify(join(directory, 'b'))});
		say('waits');`,
	);
	const waiter = startCommand(t, process.execPath, ['--import', registerUrl, program], {
		env: {BINDLOCK_WAIT_MS: '20000'},
	});
	await waiter.expect('waits');
	await lock.release();
	t.is((await waiter.next()).event, 'ERR_ADDRESS_SPELLING');
	await (await acquire(join(directory, 'a', 's'), {waitMs: 5000})).release();
});

test('over a stale socket, listening is asynchronous, and close() cancels it', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const text = `const server = require('node:net').createServer();
		server.on('listening', () => console.log('listening')).on('close', () => console.log('close'));
		server.listen(${JSON.stringify(address)});
		console.log(server.listening);
		try { server.listen('other'); } catch ({code}) { console.log(code); }
		server.close(error => {
			console.log('closed', error);
			server.listen(${JSON.stringify(address)}, () => server.close());
		});`;
	const said = await output(t, 'app.cjs', text, '--import', registerUrl);
	t.is(said, 'false\nERR_SERVER_ALREADY_LISTEN\nclose\nclosed undefined\nlistening\nclose\n');
	t.false(existsSync(address));
});

test('a server that is closed and listens again during the first wait uses the second address', async t => {
	const address = join(temporaryDirectory(t), 's');
	await makeStale(address);
	const text = `const {createServer} = require('node:net');
		const server = createServer();
		server.on('error', ({message}) => console.log(message)).on('close', () => console.log('close'));
		server.listen(${JSON.stringify(address)}, () => console.log('called off'));
		server.close();
		server.removeAllListeners('listening');
		server.listen(${JSON.stringify(address)}, () => {
			console.log('listening');
			server.close();
		});`;
	t.is(await output(t, 'app.cjs', text, '--import', registerUrl), 'close\nlistening\nclose\n');
	await makeStale(address);
	const other = `const {createServer} = require('node:net');
		createServer().listen(${JSON.stringify(address)}).close();
		const server = createServer().listen(${JSON.stringify(address)}, () => {
			console.log('the other one');
			server.close();
		});`;
	t.is(await output(t, 'app.cjs', other, '--import', registerUrl), 'the other one\n');
});

test('the signal of listen() cancels a wait', async t => {
	const address = join(temporaryDirectory(t), 's');
	const lock = await acquire(address);
	const text = `import {createServer} from 'node:net';
		import {register} from ${JSON.stringify(registerUrl)};
		register({waitMs: 10000});
		const controller = new AbortController();
		const server = createServer().on('close', () => console.log('close'));
		server.listen({path: ${JSON.stringify(address)}, signal: controller.signal});
		setImmediate(() => controller.abort());
		const late = createServer().on('close', () => console.log('close at once'));
		late.listen({path: ${JSON.stringify(address)}, signal: AbortSignal.abort()});`;
	t.is(await output(t, 'app.mjs', text), 'close at once\nclose\n');
	await lock.release();
});

test('healing uses the options of listen() again', async t => {
	const address = join(temporaryDirectory(t), 's');
	const text = `const {statSync, unlinkSync} = require('node:fs');
		const server = require('node:net').createServer();
		const show = () => console.log((statSync(${JSON.stringify(address)}).mode & 0o777).toString(8));
		server.listen({path: ${JSON.stringify(address)}, readableAll: true, writableAll: true}, () => {
			show();
			server.once('listening', () => {
				show();
				server.close();
			});
			unlinkSync(${JSON.stringify(address)});
		});`;
	// Node 20 also sets the execute bits for all users.
	t.regex(await output(t, 'app.cjs', text, '--import', registerUrl), /^(666|777)\n\1\n$/);
});

test('a stateful regular expression in exclude matches every time', async t => {
	const directory = temporaryDirectory(t);
	const text = `import {existsSync} from 'node:fs';
		import {createServer} from 'node:net';
		import {register} from ${JSON.stringify(registerUrl)};
		register({exclude: /public/g});
		for (const name of ['public1', 'public2', 'private', 'public3']) {
			const path = ${JSON.stringify(directory)} + '/' + name;
			await new Promise(resolve => createServer().listen(path, resolve).unref());
			console.log(name, existsSync(path + '.lock'));
		}`;
	t.is(await output(t, 'app.mjs', text), 'public1 false\npublic2 false\nprivate true\npublic3 false\n');
});

test('loaded by --require: a message that is sent at once reaches the cluster worker', async t => {
	const text = `const cluster = require('node:cluster');
		if (cluster.isPrimary) {
			const worker = cluster.fork();
			worker.send('early');
			worker.on('message', async message => {
				const {inspect} = await import(${JSON.stringify(indexUrl)});
				const {state, holder} = await inspect(message);
				console.log(state, holder.pid === process.pid);
				worker.disconnect();
			});
		} else {
			const server = require('node:net').createServer();
			process.on('message', () => server.listen('clustered', () => process.send('clustered')));
		}`;
	const said = await output(t, 'app.cjs', text, '--require', fileURLToPath(registerUrl));
	t.is(said, 'held true\n');
});

test('loaded twice, once as a copy, and beside acquire and listen: each address is locked once', async t => {
	const text = `import {createServer} from 'node:net';
		import ${JSON.stringify(registerUrl)};
		import {register} from ${JSON.stringify(`${registerUrl}?copy`)};
		import {acquire, listen} from ${JSON.stringify(indexUrl)};
		register({label: 'mine'});
		const lock = await acquire('one');
		const one = createServer().listen('one', async () => {
			console.log('one', lock.held);
			const two = await listen(createServer(), 'two');
			console.log('two', two.held);
			const three = createServer().listen('unix:three', async () => {
				const {inspect} = await import(${JSON.stringify(indexUrl)});
				console.log((await inspect('./unix:three')).holder.label);
				await two.release();
				three.close();
				one.close(() => lock.release());
			});
		});`;
	t.is(await output(t, 'app.mjs', text), 'one true\ntwo true\nmine\n');
});

test('each worker thread is protected', async t => {
	const text = `const {Worker, isMainThread} = require('node:worker_threads');
		const server = require('node:net').createServer();
		if (isMainThread) server.listen('s', () => {
			const worker = new Worker(__filename);
			worker.on('exit', () => server.close());
		});
		else server.on('error', ({code, holder}) => console.log(code, holder.pid === process.pid)).listen('s');`;
	t.is(await output(t, 'app.cjs', text, '--import', registerUrl), 'EADDRINUSE true\n');
});

test('a forked child of a protected program is protected', async t => {
	const text = `const {fork} = require('node:child_process');
		const server = require('node:net').createServer();
		if (process.send === undefined) server.listen('s', () => fork(__filename).on('exit', () => server.close()));
		else server.on('error', ({code, holder}) => {
			console.log(code, holder.pid === process.ppid);
			process.disconnect();
		}).listen('s');`;
	t.is(await output(t, 'app.cjs', text, '--import', registerUrl), 'EADDRINUSE true\n');
});

test('options of register() are validated', async t => {
	const {register: configure} = (await import(
		'../../src/api/register.js'
	)) as typeof import('../../src/api/register.js');
	t.throws(() => configure({waitMs: -1}), {code: 'ERR_OUT_OF_RANGE'});
	t.throws(() => configure({exclude: 'x' as unknown as RegExp}), {code: 'ERR_INVALID_ARG_TYPE'});
	t.throws(() => configure({backlog: 1} as object), {code: 'ERR_INVALID_ARG_VALUE'});
});

/** Returns the pid of the worker that answers, or an error code. */
async function ask(address: string): Promise<number | string> {
	try {
		return Number(await getText(address));
	} catch (error) {
		return (error as NodeJS.ErrnoException).code ?? 'UNKNOWN';
	}
}

function clustered(t: ExecutionContext, address: string, manner: readonly string[] = []): Program {
	return start(t, 'clustered', [address, ...manner], {nodeOptions: ['--import', registerUrl]});
}

test('cluster: the primary holds the lock while a worker serves', async t => {
	const address = join(temporaryDirectory(t), 's');
	const first = clustered(t, address);
	const workers = [await first.expect('serving'), await first.expect('serving')].map(({worker}) => Number(worker));
	t.like(await inspect(address), {state: 'held', holder: {pid: first.pid, verified: true}});
	t.true(workers.includes(Number(await ask(address))));
	const second = clustered(t, address);
	for (let worker = 0; worker < 2; worker++) t.like(await second.expect('refused'), {code: 'EADDRINUSE'});
	first.send('kill');
	const {worker} = await first.expect('serving');
	t.false(workers.includes(Number(worker)));
	await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
	first.send('close');
	await first.expect('closed');
	t.false(existsSync(address));
	t.like(await inspect(address), {state: 'free'});
});

test('cluster: after SIGKILL of the primary, the next primary gets the address', async t => {
	const address = join(temporaryDirectory(t), 's');
	const first = clustered(t, address);
	await first.expect('serving');
	await first.expect('serving');
	await first.kill();
	const second = clustered(t, address);
	const workers = [await second.expect('serving'), await second.expect('serving')].map(({worker}) => worker);
	t.true(workers.includes(await ask(address)));
});

test('cluster: acquire and listen in a worker give advice, and exclusive: true locks for the worker alone', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = start(t, 'clustered', [address, 'acquire']);
	const {codes, held, worker} = await program.expect('locked');
	t.is(typeof worker, 'number');
	t.true(held);
	const [one, why, two] = codes as string[];
	t.deepEqual([one, two], ['ERR_CLUSTER_WORKER', 'ERR_CLUSTER_WORKER']);
	t.regex(String(why), /bindlock\/register.*exclusive: true/);
});
