/**
 * The abstract lock's socket under clients that mean no good: it answers, stays, and does not grow.
 */
import {readdirSync} from 'node:fs';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire} from '../../src/index.js';
import {adoptLockSocket, bindLockSocket, closeLockSocket} from '../../src/kernel/lock-socket.js';
import {detachListener} from '../../src/kernel/net-server.js';
import {listeners, reach} from '../helpers/detectors.js';
import {start, startCommand, temporaryDirectory, until, withDeadline} from '../helpers/programs.js';

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

test.serial('it answers with the record, in one line of JSON after the pid, and keeps the connection', async t => {
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
	'garbage, half-open connections, resets and clients that do not read: it stays the holder, with bounded memory',
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
		// It answers a polite client among them all.
		const polite = connect(lockName(name));
		t.regex(await withDeadline(firstLine(polite)), new RegExp(`^${holder.pid}\n`));
		await t.throwsAsync(acquire(`\0${name}`), {code: 'EADDRINUSE'});
		for (const client of [...clients, polite]) client.destroy();
		await until(() => listeners(`\0${name}.lock`) === 1, 'the lock');
		t.true((await residentKb()) - before < 100_000, 'less than 100 MB more');
		t.is(holder.stderr, '');
		holder.send('release');
		t.like(await holder.next(), {event: 'released', held: false});
	},
);

test.serial('one that goes on talking is cut off', async t => {
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

test.serial('a wait for a holder that is stopped, with a full backlog, ends at its deadline', async t => {
	const name = freshName(t);
	const holder = start(t, 'holder', ['acquire', `unix:@${name}`]);
	await holder.expect('held');
	holder.signal('SIGSTOP');
	const clients: Socket[] = [];
	t.teardown(() => {
		for (const client of clients) client.destroy();
	});
	let full = false;
	while (!full) {
		const client = connect(lockName(name));
		clients.push(client);
		full = await new Promise(resolve => client.on('connect', () => resolve(false)).on('error', () => resolve(true)));
	}
	await t.throwsAsync(withDeadline(acquire(`\0${name}`, {waitMs: 200})), {code: 'EADDRINUSE', message: /waited/});
});

function countDescriptors(pid: number): number {
	return readdirSync(`/proc/${pid}/fd`).length;
}

function limited(descriptors: number): string[] {
	return ['sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh'];
}

/** Connects so many clients, which are answered and stay until the test ends. */
async function crowd(t: ExecutionContext, names: readonly string[], count: number): Promise<void> {
	const clients: Socket[] = [];
	t.teardown(() => {
		for (const client of clients) client.destroy();
	});
	const attempt = async (name: string): Promise<void> => {
		const client = connect(lockName(name));
		try {
			await firstLine(client);
			clients.push(client);
		} catch (error) {
			client.destroy();
			if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
			// The backlog is full.
			await new Promise(resolve => setTimeout(resolve, 2));
			await attempt(name);
		}
	};
	await withDeadline(Promise.all(Array.from({length: count}, (_, i) => attempt(names[i % names.length] ?? ''))));
}

for (const limit of [1024, 256, 64]) {
	test.serial(
		`1500 clients that stay: each is answered, and a holder with ${limit} descriptors keeps most`,
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

test.serial('clients of all locks of a process together leave it most descriptors', async t => {
	const names = Array.from({length: 8}, (_, i) => `${freshName(t)}${i}`);
	const script = `
		import {acquire} from ${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)};
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

test.serial('clients that come again and again do not keep the holder from its own server', async t => {
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

test.serial(
	'200 waiters: the holder keeps few of them, and after its end each has its turn, one at a time',
	async t => {
		const name = freshName(t);
		const holder = start(t, 'holder', ['acquire', `unix:@${name}`]);
		await holder.expect('held');
		const before = countDescriptors(holder.pid);
		let waiting = 0;
		let holding = 0;
		let most = 0;
		const turns = Array.from({length: 200}, async () => {
			const lock = await acquire(`\0${name}`, {waitMs: 100_000, onWait: () => waiting++});
			most = Math.max(most, ++holding);
			await new Promise(resolve => setImmediate(resolve));
			holding--;
			await lock.release();
		});
		await until(() => waiting === 200 && countDescriptors(holder.pid) > before + 60, 'all waiters');
		t.true(countDescriptors(holder.pid) <= before + 64);
		t.is(most, 0);
		await holder.kill();
		await withDeadline(Promise.all(turns), 100_000);
		t.is(most, 1);
	},
);

test.serial('a waiter pauses ever longer where its connections do not last', async t => {
	const name = freshName(t);
	let connections = 0;
	const squatter = createServer(socket => {
		connections++;
		socket.on('error', () => {}).end('hello\n');
	}).listen(lockName(name));
	t.teardown(() => squatter.close());
	await t.throwsAsync(withDeadline(acquire(`\0${name}`, {waitMs: 2000})), {code: 'EADDRINUSE', message: /waited/});
	t.true(connections < 40, `${connections} connections`);
});

test.serial('an accept that fails concerns neither a lock that was bound nor one that was taken over', async t => {
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
