/**
 * The abstract lock's socket under clients that mean no good: it answers, stays, and does not grow.
 */
import {connect, type Socket} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquire} from '../../src/index.js';
import {listeners} from '../helpers/detectors.js';
import {start, temporaryDirectory, until, withDeadline} from '../helpers/programs.js';

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
