/**
 * Tests waiting for the end of a lock socket.
 */
import {readdirSync} from 'node:fs';
import {connect, createServer, type Socket} from 'node:net';
import {join} from 'node:path';
import test from 'ava';
import {acquire} from '../../../src/index.js';
import {paddedName} from '../../../src/kernel/sockets/padded-name.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {start, temporaryDirectory} from '../../helpers/programs.js';

test.serial('a wait for a stopped holder with a full backlog ends at its deadline', async t => {
	const name = join(temporaryDirectory(t), 's');
	const holder = start(t, 'holder', ['acquire', `unix:@${name}`]);
	await holder.expect('held');
	holder.signal('SIGSTOP');
	const clients: Socket[] = [];
	t.teardown(() => {
		for (const client of clients) client.destroy();
	});
	let full = false;
	while (!full) {
		const client = connect(paddedName(`${name}.lock`));
		clients.push(client);
		full = await new Promise(resolve => client.on('connect', () => resolve(false)).on('error', () => resolve(true)));
	}
	await t.throwsAsync(withDeadline(acquire(`\0${name}`, {waitMs: 200})), {code: 'EADDRINUSE', message: /waited/});
});

function countDescriptors(pid: number): number {
	return readdirSync(`/proc/${pid}/fd`).length;
}

test.serial(
	'200 waiters: the holder keeps few of them, and after its end each gets the lock, one at a time',
	async t => {
		const name = join(temporaryDirectory(t), 's');
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

test.serial('a waiter backs off when its connections are short', async t => {
	const name = join(temporaryDirectory(t), 's');
	let connections = 0;
	const squatter = createServer(socket => {
		connections++;
		socket.on('error', () => {}).end('hello\n');
	}).listen(paddedName(`${name}.lock`));
	t.teardown(() => squatter.close());
	await t.throwsAsync(withDeadline(acquire(`\0${name}`, {waitMs: 2000})), {code: 'EADDRINUSE', message: /waited/});
	t.true(connections < 40, `${connections} connections`);
});
