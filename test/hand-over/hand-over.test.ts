/**
 * Tests hand-over: no client is refused, and if the successor fails, the old server keeps serving and holding the lock.
 */
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, readlinkSync, unlinkSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import test, {type ExecutionContext} from 'ava';
import {acquire, handOver, inspect, listen} from '../../src/index.js';
import {lacking, noPython, python, testUnless} from '../helpers/abilities.js';
import {gone} from '../helpers/command.js';
import {atLoad, until, withDeadline} from '../helpers/deadlines.js';
import {flockHolders, listeners} from '../helpers/detectors.js';
import {getText} from '../helpers/http.js';
import {heard, startLeashed} from '../helpers/leash.js';
import {type Program, type StartOptions, start, startCommand, temporaryDirectory} from '../helpers/programs.js';

/** Starts a server that can hand itself over. All its generations end with the test. */
async function relay(
	t: ExecutionContext,
	addresses: readonly string[],
	manner = '',
	options: StartOptions = {},
): Promise<Program> {
	const program = startLeashed(t, 'relay', [...addresses, ...(manner === '' ? [] : ['--manner', manner])], options);
	t.is((await program.next()).event, 'serving', program.stderr);
	return program;
}

/** Lets this generation hand over. @returns the pid of its successor */
async function handOverFrom(pid: number, program: Program): Promise<number> {
	process.kill(pid, 'SIGUSR2');
	return Number((await heard(program, 'handed over'))['to']);
}

/** Lets this generation answer its requests of `/held`. */
function answerHeld(pid: number): void {
	process.kill(pid, 'SIGURG');
}

interface Answer {
	readonly pid: number;
	readonly error?: string;
}

async function ask(address: string, path = '/'): Promise<Answer> {
	try {
		return {pid: Number(await getText(address.replace('@', '\0'), path))};
	} catch (error) {
		const {code, message} = error as NodeJS.ErrnoException;
		return {pid: -1, error: code ?? message};
	}
}

/** Clients that connect one after the other, each with its own connection, until they are stopped. */
function load(t: ExecutionContext, address: string): {stop(): Promise<readonly Answer[]>} {
	let stopped = false;
	t.teardown(() => {
		stopped = true;
	});
	const answers: Answer[] = [];
	const clients = Array.from({length: 8}, async (_, number) => {
		while (!stopped) answers.push(await ask(address, number === 0 ? '/slow' : '/'));
	});
	return {
		stop: async () => {
			stopped = true;
			await Promise.all(clients);
			return answers;
		},
	};
}

/** Hands over under load; each generation answers requests, and no client is refused. */
async function handOverOften(
	t: ExecutionContext,
	address: string,
	rounds: number,
	options: StartOptions = {},
): Promise<void> {
	const program = await relay(t, [address], '', options);
	const clients = load(t, address);
	const pids = [program.pid];
	for (let round = 0; round < rounds; round++) {
		process.kill(pids.at(-1) ?? 0, 'SIGUSR2');
		const event = await heard(program, 'handed over');
		t.deepEqual(event['held'], [false]);
		const next = Number(event['to']);
		pids.push(next);
		await until(async () => (await ask(address)).pid === next, `generation ${round + 1} answers`);
	}
	const answers = await clients.stop();
	t.deepEqual(
		answers.filter(({error}) => error !== undefined),
		[],
	);
	t.deepEqual([...new Set(answers.map(({pid}) => pid))].sort(), [...pids].sort());
	t.log(`${answers.length} requests, each on a connection of its own`);
	t.true(answers.length > 50 * rounds);
	const last = pids.at(-1) ?? 0;
	t.like(await inspect(address.replace('@', '\0')), {state: 'held', holder: {pid: last, verified: true}});
	process.kill(last, 'SIGTERM');
	// Each earlier generation has exited after its last connection, and has removed no file.
	await program.exited;
	t.like(await inspect(address.replace('@', '\0')), {state: 'free'});
}

test.serial(
	'pathname: a hand-over under load: no client is refused, and one process holds the lock at the end',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		await handOverOften(t, address, 1);
		t.false(existsSync(address));
		t.is(readFileSync(`${address}.lock`, 'utf8'), '');
	},
);

test.serial('abstract: a hand-over under load', async t => {
	await handOverOften(t, `@bindlock-test-${process.pid}-relay`, 1);
});

test.serial('during a hand-over the address always has a holder, and the record names the successor', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address]);
	let tries = 0;
	let done = false;
	const prying = (async () => {
		while (!done) {
			tries++;
			await t.throwsAsync(acquire(address), {code: 'EADDRINUSE'});
			// Yield to the event loop: a refusal does not.
			await new Promise(resolve => setImmediate(resolve));
		}
	})();
	process.kill(program.pid, 'SIGUSR2');
	const {to} = await heard(program, 'handed over');
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${to}\n`), 'the record of the successor');
	done = true;
	await prying;
	t.true(tries > 3);
	t.deepEqual(flockHolders(`${address}.lock`, [Number(to)]), [Number(to)]);
});

test.serial('the old server finishes its request while the successor serves, and then exits', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address]);
	const slow = ask(address, '/slow');
	// The first request is answered after the second one was sent.
	await ask(address);
	process.kill(program.pid, 'SIGUSR2');
	const {to} = await heard(program, 'handed over');
	t.is((await slow).pid, program.pid);
	t.like(await heard(program, 'ended'), {pid: program.pid, code: 0});
	t.true(existsSync(address));
	t.is((await ask(address)).pid, Number(to));
});

test.serial('two addresses are handed over together', async t => {
	const directory = temporaryDirectory(t);
	const addresses = [join(directory, 'one'), `@bindlock-test-${process.pid}-two`];
	const program = await relay(t, addresses);
	process.kill(program.pid, 'SIGUSR2');
	const {to, held} = await heard(program, 'handed over');
	t.deepEqual(held, [false, false]);
	for (const address of addresses) t.is((await ask(address)).pid, Number(to));
});

test.serial('twelve addresses are handed over together, and Node warns of no leak', async t => {
	const directory = temporaryDirectory(t);
	const addresses = Array.from({length: 12}, (_, number) => join(directory, `${number}`));
	const program = await relay(t, addresses);
	const to = await handOverFrom(program.pid, program);
	await handOverFrom(to, program);
	for (const address of addresses) t.true((await ask(address)).pid > 0);
	t.is(program.stderr, '');
});

for (const manner of ['fails at its second address', 'disconnects at its second address']) {
	test.serial(`a successor that ${manner} has accepted no client of the first`, async t => {
		const directory = temporaryDirectory(t);
		const [one = '', two = ''] = ['one', 'two'].map(name => join(directory, name));
		const program = await relay(t, [one, two], manner);
		const clients = load(t, one);
		process.kill(program.pid, 'SIGUSR2');
		const event = await heard(program, 'not handed over');
		t.like(event, {code: 'ERR_HAND_OVER_FAILED', held: [true, true]});
		const answers = await clients.stop();
		t.true(answers.length > 50);
		t.deepEqual([...new Set(answers.map(({pid}) => pid))], [program.pid]);
	});
}

test.serial('a successor calls process.disconnect() when it serves: the predecessor stops serving', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address], 'disconnects');
	const slow = ask(address, '/held');
	await ask(address);
	const to = await handOverFrom(program.pid, program);
	for (let request = 0; request < 50; request++) t.is((await ask(address)).pid, to);
	t.like(await inspect(address), {state: 'held', holder: {pid: to, verified: true}});
	answerHeld(program.pid);
	t.is((await slow).pid, program.pid);
});

for (const manner of ['exits', 'dies with the socket', 'dies serving', 'never listens']) {
	test.serial(
		`a successor that ${manner}: the old server still serves and holds the lock, and can hand over again`,
		async t => {
			const address = join(temporaryDirectory(t), 's');
			const program = await relay(t, [address], manner);
			for (let round = 0; round < 2; round++) {
				process.kill(program.pid, 'SIGUSR2');
				const event = await heard(program, 'not handed over');
				t.like(event, {code: 'ERR_HAND_OVER_FAILED', held: [true]});
				t.is((await ask(address)).pid, program.pid);
				t.like(await inspect(address), {state: 'held', holder: {pid: program.pid, verified: true}});
				t.is(listeners(address), 1);
			}
			// The file guard works again.
			unlinkSync(address);
			await until(async () => (await ask(address)).pid === program.pid, 'the socket is healed');
			process.kill(program.pid, 'SIGTERM');
			await program.exited;
			t.false(existsSync(address));
		},
	);
}

test.serial('the successor is killed while the old server drains: the address is free at once', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address]);
	// These requests keep the old server busy.
	const slow = Promise.all([ask(address, '/slow'), ask(address, '/slow')]);
	process.kill(program.pid, 'SIGUSR2');
	const {to} = await heard(program, 'handed over');
	process.kill(Number(to), 'SIGKILL');
	await slow;
	await program.exited;
	const lock = await acquire(address);
	t.true(lock.held);
	await lock.release();
});

test.serial(
	'the successor is killed while the old server drains: a waiter gets the address before the drain ends',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = await relay(t, [address]);
		const slow = ask(address, '/held');
		await ask(address);
		const to = await handOverFrom(program.pid, program);
		const waiter = start(t, 'waiter', [address]);
		await waiter.expect('waiting');
		process.kill(to, 'SIGKILL');
		await waiter.expect('held');
		answerHeld(program.pid);
		t.is((await slow).pid, program.pid);
	},
);

test.serial('after a hand-over the old server accepts no connection, and has closed the listening socket', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address]);
	const slow = ask(address, '/held');
	await ask(address);
	const to = await handOverFrom(program.pid, program);
	process.kill(to, 'SIGSTOP');
	const asked = Array.from({length: 8}, () => ask(address));
	t.deepEqual(ownersOf(address), [to], 'only the successor has the listening socket');
	answerHeld(program.pid);
	t.is((await slow).pid, program.pid, 'the old server answers its open request');
	process.kill(to, 'SIGCONT');
	t.deepEqual([...new Set((await withDeadline(Promise.all(asked))).map(({pid}) => pid))], [to]);
});

/** Returns the processes that have a listening socket with this path open. */
function ownersOf(address: string): number[] {
	const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
	const inodes = rows
		.filter(row => row.endsWith(` ${address}`) && / 0001 01 /.test(row))
		.map(row => row.split(/ +/)[6]);
	const opens = (pid: string): boolean => {
		try {
			const descriptors = readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`));
			return descriptors.some(target => inodes.some(inode => target === `socket:[${inode}]`));
		} catch {
			return false;
		}
	};
	return readdirSync('/proc')
		.filter(name => /^\d+$/.test(name) && opens(name))
		.map(Number);
}

test.serial('an error of the old server after its hand-over is printed, and the successor keeps serving', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address]);
	const slow = ask(address, '/held');
	await ask(address);
	const to = await handOverFrom(program.pid, program);
	await until(async () => (await ask(address)).pid === to, 'the successor answers');
	process.kill(program.pid, 'SIGHUP');
	await heard(program, 'ended');
	await slow;
	t.is((await ask(address)).pid, to);
	process.kill(to, 'SIGTERM');
	t.like(await program.exited, {code: 1});
	t.regex(program.stderr, /Error: on its way out\n +at /);
});

test.serial('an old server that dies during a hand-over does not block its successor', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address], 'waits for its parent to die');
	process.kill(program.pid, 'SIGUSR2');
	const {pid} = await heard(program, 'waits');
	program.signal('SIGKILL');
	await until(async () => (await ask(address)).pid === pid, 'the successor serves');
	t.like(await inspect(address), {state: 'held', holder: {pid}});
});

test.serial('an old server that exits while its successor starts leaves the socket to it', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address], 'sees its parent exit with the socket');
	process.kill(program.pid, 'SIGUSR2');
	t.like(await heard(program, 'ended'), {pid: program.pid});
	const {pid} = await heard(program, 'serving');
	t.is((await ask(address)).pid, Number(pid));
	t.like(await inspect(address), {state: 'held', holder: {pid, verified: true}});
});

test.serial('a successor that cannot adopt the lock keeps nothing of it, and can take the address itself', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address], 'loses the lock file and its parent');
	process.kill(program.pid, 'SIGUSR2');
	t.like(await heard(program, 'lost'), {code: 'ERR_LOCK_LOST'});
	const {pid} = await heard(program, 'serving');
	t.is((await ask(address)).pid, Number(pid));
	t.is(listeners(address), 1);
	t.like(await inspect(address), {state: 'held', holder: {pid, verified: true}});
});

test.serial(
	'a successor cannot be started: the server is still guarded and healed, and can hand over again',
	async t => {
		const address = join(temporaryDirectory(t), 's');
		const server = createServer();
		const lock = await listen(server, address);
		t.teardown(() => lock.release());
		for (const [modulePath, options] of [
			['a\0b', {}],
			['relay.js', {args: ['\0']}],
		] as const) {
			await t.throwsAsync(handOver(lock, modulePath, options), {code: 'ERR_HAND_OVER_FAILED'});
		}
		unlinkSync(address);
		await until(() => existsSync(address), 'the healing');
		await t.throwsAsync(handOver(lock, join(address, 'nothing.js')), {code: 'ERR_HAND_OVER_FAILED', message: /ended/});
	},
);

test.serial('a worker thread cannot hand over', async t => {
	const address = join(temporaryDirectory(t), 's');
	const text = `import {createServer} from 'node:net';
		import {parentPort} from 'node:worker_threads';
		import {handOver, listen} from ${JSON.stringify(indexUrl)};
		const lock = await listen(createServer(), ${JSON.stringify(address)});
		await handOver(lock, 'nothing.js').catch(({code}) => parentPort.postMessage([code, lock.held]));
		await lock.release();`;
	const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`));
	// The worker may exit before its message is read.
	const exited = once(worker, 'exit');
	const [message] = await once(worker, 'message');
	t.deepEqual(message, ['ERR_WORKER_UNSUPPORTED_OPERATION', true]);
	await exited;
});

for (const end of ['ends', 'closes, and answers its last client'] as const) {
	test.serial(
		`the successor ${end}, the next server is killed, and the first one drains: the address is free`,
		async t => {
			const address = join(temporaryDirectory(t), 's');
			const program = await relay(t, [address]);
			const slow = ask(address, '/held');
			await ask(address);
			const to = await handOverFrom(program.pid, program);
			await until(async () => (await ask(address)).pid === to, 'the successor answers');
			const last = end === 'ends' ? undefined : ask(address, '/held');
			await ask(address);
			process.kill(to, 'SIGTERM');
			if (last === undefined) await gone(to);
			else await heard(program, 'closing');
			const next = start(t, 'holder', ['listen', address]);
			await next.expect('held');
			await next.kill();
			const lock = await acquire(address);
			t.true(lock.reclaimed);
			await lock.release();
			answerHeld(program.pid);
			if (last !== undefined) answerHeld(to);
			t.is((await slow).pid, program.pid);
			t.is((await last)?.pid, last === undefined ? undefined : to);
		},
	);
}

test.serial('the third server is killed while the first two drain: the address is free', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = await relay(t, [address]);
	const slow = [ask(address, '/held')];
	await ask(address);
	const between = await handOverFrom(program.pid, program);
	await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${between}\n`), 'it holds alone');
	await until(async () => (await ask(address)).pid === between, 'it answers');
	slow.push(ask(address, '/held'));
	await ask(address);
	const third = await handOverFrom(between, program);
	process.kill(third, 'SIGKILL');
	await (await acquire(address, {waitMs: 2000})).release();
	for (const pid of [program.pid, between]) answerHeld(pid);
	t.deepEqual(
		(await Promise.all(slow)).map(({pid}) => pid),
		[program.pid, between],
	);
});

for (const end of ['goes on', 'is killed', 'is killed, and the third, too']) {
	test.serial(`the third server serves while the first drains, and the second ${end}`, async t => {
		const address = join(temporaryDirectory(t), 's');
		const program = await relay(t, [address]);
		const slow = ask(address, '/held');
		await ask(address);
		const between = await handOverFrom(program.pid, program);
		await until(() => readFileSync(`${address}.lock`, 'utf8').startsWith(`${between}\n`), 'it holds alone');
		const third = await handOverFrom(between, program);
		if (end !== 'goes on') {
			process.kill(between, 'SIGKILL');
			await gone(between);
		}
		for (let request = 0; request < 50; request++) t.like(await ask(address), {pid: third});
		if (end === 'is killed, and the third, too') {
			process.kill(third, 'SIGKILL');
			await (await acquire(address, {waitMs: atLoad(2000)})).release();
			answerHeld(program.pid);
			t.is((await slow).pid, program.pid);
			return;
		}
		answerHeld(program.pid);
		t.is((await slow).pid, program.pid);
		await until(async () => (await heard(program, 'ended'))['pid'] === program.pid, 'the exit of the first server');
		t.is((await ask(address)).pid, third);
		t.is(listeners(address), 1);
		process.kill(third, 'SIGTERM');
		await program.exited;
		t.false(existsSync(address));
	});
}

const receiver = `
import json, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print(json.dumps({'event': 'ready'}), flush=True)
while True:
    text = server.recv(4096).decode()
    if text.startswith('MAINPID='): print(json.dumps({'event': 'told', 'text': text}), flush=True)
`;

import {indexUrl} from '../helpers/library.js';

testUnless(noPython(), lacking('systemd-notify'))('systemd gets the pid of the new main process', async t => {
	const address = join(temporaryDirectory(t), 's');
	const notify = join(temporaryDirectory(t), 'notify');
	const systemd = startCommand(t, python, ['-c', receiver, notify]);
	await systemd.expect('ready');
	const program = await relay(t, [address], '', {env: {NOTIFY_SOCKET: notify}});
	const to = await handOverFrom(program.pid, program);
	t.regex(String((await systemd.expect('told'))['text']), new RegExp(`^MAINPID=${to}$`, 'm'));
	const third = await handOverFrom(to, program);
	t.regex(String((await systemd.expect('told'))['text']), new RegExp(`^MAINPID=${third}$`, 'm'));
	t.is(program.stderr, '');
});

testUnless(lacking('systemd-notify'))('systemd cannot be notified: a warning, and the successor serves', async t => {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const program = await relay(t, [address], '', {env: {NOTIFY_SOCKET: join(directory, 'nobody')}});
	const to = await handOverFrom(program.pid, program);
	await until(() => program.stderr.includes(`BindLockWarning: systemd does not know that ${to}`), 'the warning');
	t.is((await ask(address)).pid, to);
});

test.serial('a lock that cannot be handed over is refused before a program is started', async t => {
	const address = join(temporaryDirectory(t), 's');
	const program = 'there-is-no-such-program.js';
	await using taken = await acquire(address);
	await t.throwsAsync(handOver(taken, program), {code: 'ERR_INVALID_ARG_VALUE'});
	await taken.release();
	await t.throwsAsync(handOver([], program), {code: 'ERR_INVALID_ARG_VALUE'});
	await t.throwsAsync(handOver({} as typeof taken, program), {code: 'ERR_INVALID_ARG_TYPE'});
	const lock = await listen(createServer(), address);
	t.teardown(() => lock.release());
	await t.throwsAsync(handOver(lock, program, {timeoutMs: -1}), {code: 'ERR_OUT_OF_RANGE'});
	await t.throwsAsync(handOver(lock, program, {args: ['a', 1] as string[]}), {code: 'ERR_INVALID_ARG_TYPE'});
	await t.throwsAsync(handOver([lock, lock], program), {code: 'ERR_LOCK_NOT_HELD'});
	t.true(lock.held);
	await lock.release();
	await t.throwsAsync(handOver(lock, program), {code: 'ERR_LOCK_NOT_HELD'});
	unlinkSync(`${address}.lock`);
	const leased = await listen(createServer(), address, {backend: 'lease'});
	t.teardown(() => leased.release());
	await t.throwsAsync(handOver(leased, program), {code: 'ERR_INVALID_ARG_VALUE'});
});
