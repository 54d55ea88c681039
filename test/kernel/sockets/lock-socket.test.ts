/**
 * Tests the lock socket under hostile clients: it answers, stays bound, and limits its memory and descriptors.
 */
import {readdirSync} from 'node:fs';
import {connect, type Server, type Socket} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire} from '../../../src/index.js';
import {detachListener} from '../../../src/kernel/node/net-server.js';
import {adoptLockSocket, bindLockSocket, closeLockSocket} from '../../../src/kernel/sockets/lock-socket.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {listeners, reach} from '../../helpers/detectors.js';
import {indexUrl} from '../../helpers/library.js';
import {start, startCommand, temporaryDirectory} from '../../helpers/programs.js';

function lockName(name: string): string {
	return `\0${name}.lock`.padEnd(108, '\0');
}

function freshName(t: ExecutionContext): string {
	return join(temporaryDirectory(t), 's');
}

function firstLine(socket: Socket): Promise<string> {
	return new Promise((resolve, reject) => {
		let heard = '';
		socket.setEncoding('utf8').on('data', chunk => {
			heard += chunk;
			if (/\n.*\n/s.test(heard)) resolve(heard);
		});
		socket.on('error', reject);
	});
}

test.serial('it answers with the pid and one line of JSON, and keeps the connection', async t => {
	const name = freshName(t);
	const lock = await acquire(`\0${name}`, {label: 'blue'});
	const client = connect(lockName(name));
	const [pid, json] = (await firstLine(client)).split('\n');
	t.is(pid, `${process.pid}`);
	t.like(JSON.parse(json ?? ''), {bindlock: 1, pid: process.pid, label: 'blue', uid: process.getuid?.() ?? -1});
	t.false(client.destroyed);
	const closed = new Promise(resolve => client.on('close', resolve));
	await lock.release();
	await withDeadline(closed);
	t.pass('the end of the lock is the end of the connection');
});

test.serial(
	'garbage, half-open connections, resets and clients that do not read: it stays bound, with bounded memory',
	async t => {
		const name = freshName(t);
		const holder = start(t, 'holder', ['acquire', `unix:@${name}`]);
		await holder.expect('held');
		const residentKb = async (): Promise<number> => {
			const {readFileSync} = await import('node:fs');
			return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${holder.pid}/status`, 'utf8'))?.[1]);
		};
		const before = await residentKb();
		const clients: Socket[] = [];
		for (let i = 0; i < 600; i++) {
			const client = connect({path: lockName(name), allowHalfOpen: true});
			client.on('error', () => {});
			clients.push(client);
			if (i % 4 === 0) client.pause();
			if (i % 4 === 1) client.write('x'.repeat(1_000_000));
			if (i % 4 === 2) client.end();
			if (i % 4 === 3) client.on('connect', () => client.destroy());
		}
		// It answers a well-behaved client, too.
		const {client: polite, answer} = await withDeadline(answeredClient(name));
		t.regex(answer, new RegExp(`^${holder.pid}\n`));
		await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE'});
		for (const client of [...clients, polite]) client.destroy();
		await until(() => listeners(`\0${name}.lock`) === 1, 'the lock');
		t.true((await residentKb()) - before < 100_000, 'less than 100 MB more');
		t.is(holder.stderr, '');
		holder.send('release');
		t.like(await holder.next(), {event: 'released', held: false});
	},
);

test.serial('a client that keeps sending is disconnected', async t => {
	const name = freshName(t);
	const lock = await acquire(`\0${name}`);
	const talker = connect(lockName(name));
	const closed = new Promise(resolve => talker.on('close', resolve));
	talker.on('error', () => {}).resume();
	const talk = (): void => {
		while (!talker.destroyed && talker.write('x'.repeat(65_536))) {}
	};
	talker.on('drain', talk);
	talk();
	await withDeadline(closed);
	t.true(lock.held);
	await lock.release();
});

function countDescriptors(pid: number): number {
	return readdirSync(`/proc/${pid}/fd`).length;
}

function limited(descriptors: number): string[] {
	return ['sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh'];
}

/** Connects as a client until it is answered; retries while the backlog is full. */
async function answeredClient(name: string): Promise<{readonly client: Socket; readonly answer: string}> {
	for (;;) {
		const client = connect(lockName(name));
		try {
			return {client, answer: await firstLine(client)};
		} catch (error) {
			client.destroy();
			if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
			await new Promise(resolve => setTimeout(resolve, 2));
		}
	}
}

/** Connects this many clients, which are answered and stay until the test ends. */
async function crowd(t: ExecutionContext, names: readonly string[], count: number): Promise<void> {
	const clients: Socket[] = [];
	t.teardown(() => {
		for (const client of clients) client.destroy();
	});
	const attempt = async (name: string): Promise<void> => {
		clients.push((await answeredClient(name)).client);
	};
	await withDeadline(Promise.all(Array.from({length: count}, (_, i) => attempt(names[i % names.length] ?? ''))));
}

for (const limit of [1024, 256, 64]) {
	test.serial(
		`1500 lasting clients: each is answered, and a holder keeps most of its ${limit} descriptors`,
		async t => {
			const name = freshName(t);
			const holder = start(t, 'holder', ['listen', `unix:@${name}`], {before: limited(limit)});
			await holder.expect('held');
			const before = countDescriptors(holder.pid);
			await crowd(t, [name], 1500);
			const more = countDescriptors(holder.pid) - before;
			t.true(more <= Math.min(64, limit / 4), `${more} more`);
			t.is(await withDeadline(reach(`\0${name}`)), holder.pid, 'its own server');
			await t.throwsAsync(acquire(`\0${name}`), {
				code: 'EADDRINUSE',
				message: new RegExp(`held by pid ${holder.pid} `),
			});
			holder.send('release');
			t.like(await holder.next(), {event: 'released', held: false});
			t.is(holder.stderr, '');
		},
	);
}

test.serial('the clients of all locks of a process together use at most a quarter of its descriptors', async t => {
	const names = Array.from({length: 8}, (_, i) => `${freshName(t)}${i}`);
	const script = `
		import {acquire} from ${JSON.stringify(indexUrl)};
		for (const name of process.argv.slice(1)) await acquire('unix:@' + name);
		console.log('held');
		process.stdin.resume();
	`;
	const args = ['--input-type=module', '-e', script, ...names];
	const holder = startCommand(t, process.execPath, args, {before: limited(128)});
	await holder.expect('line');
	const before = countDescriptors(holder.pid);
	await crowd(t, names, 400);
	t.true(countDescriptors(holder.pid) - before <= 32);
	for (const name of names) t.is(listeners(`\0${name}.lock`), 1);
	holder.end();
});

test.serial('clients that reconnect continuously do not keep the holder from serving', async t => {
	const name = freshName(t);
	const holder = start(t, 'holder', ['listen', `unix:@${name}`], {before: limited(64)});
	await holder.expect('held');
	const script = `
		const {connect} = require('node:net');
		let told = false;
		const come = () => {
			const client = connect(process.argv[1]).on('error', () => {});
			client.on('data', () => {
				if (!told) console.log('answered');
				told = true;
				client.write('x'.repeat(100_000));
				setImmediate(() => client.destroy());
			});
			client.on('close', () => setImmediate(come));
		};
		for (let i = 0; i < 50; i++) come();
	`;
	// An argument ends at its first NUL.
	const padded = script.replace('process.argv[1]', JSON.stringify(lockName(name)));
	const flood = startCommand(t, process.execPath, ['-e', padded]);
	await flood.expect('line');
	const before = countDescriptors(holder.pid);
	for (let i = 0; i < 50; i++) t.is(await withDeadline(reach(`\0${name}`)), holder.pid);
	t.true(countDescriptors(holder.pid) <= before + 17);
	await flood.kill();
	holder.send('release');
	t.like(await holder.next(), {event: 'released', held: false});
	t.is(holder.stderr, '');
});

test.serial('a failed accept ends neither a bound nor an adopted lock', async t => {
	const name = freshName(t);
	const failure = Object.assign(new Error('accept EMFILE'), {code: 'EMFILE'});
	const bound = (await bindLockSocket(name, 'record\n')) as {readonly server: Server};
	t.true(bound.server.emit('error', failure));
	const listener = detachListener(bound.server) as object;
	const adopted = adoptLockSocket(listener, 'another record\n{}\n') as {readonly server: Server};
	await new Promise(resolve => setImmediate(resolve));
	t.true(adopted.server.emit('error', failure));
	const client = connect(`\0${name}`.padEnd(108, '\0'));
	t.is(await withDeadline(firstLine(client)), 'another record\n{}\n');
	closeLockSocket(adopted);
	client.destroy();
});
