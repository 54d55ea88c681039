/**
 * Tests of waiting for a holder, for both kinds of address and both implementations of flock.
 */
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {acquire, BindLockError} from '../../src/index.js';
import {noAddon, noFlockCommand, testUnless} from './abilities.js';
import {atLoad, until} from './deadlines.js';
import {descendants, isAlive} from './processes.js';
import {type Program, type StartOptions, start, temporaryDirectory} from './programs.js';

export interface Way {
	readonly title: string;
	readonly obstacle: string | undefined;
	readonly options: StartOptions;
	readonly address: (t: ExecutionContext) => string;
}

export const pathOf = (t: ExecutionContext): string => join(temporaryDirectory(t), 's');
export const ways: readonly Way[] = [
	{title: 'queued by flock(1)', obstacle: noFlockCommand(), options: {}, address: pathOf},
	{title: 'flock(1) alone', obstacle: noFlockCommand(), options: {env: {BINDLOCK_FLOCK: 'command'}}, address: pathOf},
	{title: 'trying with the addon', obstacle: noAddon(), options: {env: {BINDLOCK_FLOCK: 'addon'}}, address: pathOf},
	{title: 'abstract', obstacle: undefined, options: {}, address: t => `unix:@${pathOf(t)}`},
];

export async function startHolder(t: ExecutionContext, address: string, options: StartOptions = {}): Promise<Program> {
	const holder = start(t, 'holder', ['listen', address], options);
	await holder.expect('held');
	return holder;
}

/** Defines all tests of one way of waiting. */
export function testWaiting({title, obstacle, options, address: addressFor}: Way, waiters: number): void {
	const only = testUnless(obstacle);

	only(
		`${title}: a waiter gets the holder in onWait, and the address when the holder is killed or releases`,
		async t => {
			const address = addressFor(t);
			for (const ending of ['kill', 'release']) {
				const holder = await startHolder(t, address, options);
				const waiter = start(t, 'waiter', [address], options);
				t.like((await waiter.expect('waiting'))['holder'], {pid: holder.pid, verified: true});
				if (ending === 'kill') await holder.kill();
				else holder.send('release');
				await waiter.expect('held');
				await waiter.kill();
				await holder.kill();
			}
		},
	);

	only(`${title}: the lock of acquire() outlives its server in an exit, however long that takes`, async t => {
		const address = addressFor(t);
		const holder = start(t, 'holder', ['acquire', address], options);
		await holder.expect('held');
		holder.send('bind');
		await holder.expect('listening');
		const waiter = start(t, 'waiter', [address], options);
		await waiter.expect('waiting');
		holder.send('linger');
		t.like(await waiter.expect('held'), {pid: waiter.pid});
		await holder.exited;
	});

	only(`${title}: a wait that times out is EADDRINUSE with the holder and the time`, async t => {
		const address = addressFor(t);
		const holder = await startHolder(t, address, options);
		const waiter = start(t, 'waiter', [address, '{"waitMs":150}'], options);
		await waiter.expect('waiting');
		const refused = await waiter.expect('refused');
		t.like(refused, {code: 'EADDRINUSE', holder: {pid: holder.pid}});
		t.true((refused['waitedMs'] as number) >= 150);
		t.regex(refused['message'] as string, /; waited \d+ ms$/);
		// The process also ends: only standard input keeps it alive.
		waiter.end();
		t.is((await waiter.exited).code, 0);
	});

	only(`${title}: a wait that times out names the current holder`, async t => {
		const address = addressFor(t);
		const holder = await startHolder(t, address, options);
		const waiters = [0, 1].map(() => start(t, 'waiter', [address, '{"waitMs":1500}'], options));
		for (const waiter of waiters) await waiter.expect('waiting');
		holder.send('release');
		const [first, second] = (await Promise.all(waiters.map(waiter => waiter.next()))).sort((one, other) =>
			one.event < other.event ? -1 : 1,
		);
		t.is(first?.event, 'held');
		t.like(second, {event: 'refused', code: 'EADDRINUSE', holder: {pid: first?.['pid'], verified: true}});
		t.true(String(second?.['message']).includes(`pid ${first?.['pid']} `));
	});

	only(
		`${title}: an aborted wait rejects with the reason, leaves no child and no lock, and the queue moves on`,
		async t => {
			const address = addressFor(t);
			const holder = await startHolder(t, address, options);
			const first = start(t, 'waiter', [address], options);
			await first.expect('waiting');
			const second = start(t, 'waiter', [address], options);
			await second.expect('waiting');
			first.send('abort');
			t.is((await first.expect('refused'))['message'], 'enough');
			await until(() => descendants(first.pid).length === 0, 'the end of the aborted wait’s children');
			await holder.kill();
			await second.expect('held');
		},
	);

	only(`${title}: a waiter killed with SIGKILL leaves no child for a second, and the queue moves on`, async t => {
		const address = addressFor(t);
		const holder = await startHolder(t, address, options);
		const first = start(t, 'waiter', [address], options);
		await first.expect('waiting');
		const second = start(t, 'waiter', [address], options);
		await second.expect('waiting');
		if (title !== 'abstract' && title !== 'trying with the addon') {
			await until(() => descendants(first.pid).length === 2, 'the shell and its flock(1)');
		}
		const children = descendants(first.pid);
		const killed = performance.now();
		await first.kill();
		await until(() => !children.some(isAlive), 'the end of the killed waiter’s children');
		t.true(performance.now() - killed < atLoad(1000));
		holder.send('release');
		await second.expect('held');
	});

	only(`${title}: process.exit() does not wait for a wait`, async t => {
		const address = addressFor(t);
		await startHolder(t, address, options);
		const waiter = start(t, 'waiter', [address], options);
		await waiter.expect('waiting');
		const asked = performance.now();
		waiter.send('exit');
		t.is((await waiter.exited).code, 0);
		t.true(performance.now() - asked < atLoad(1000));
	});

	only(`${title}: ${waiters} waiters, released or killed in turn: each has its turn, one at a time`, t =>
		inTurn(t, {options, address: addressFor(t)}, waiters),
	);
}

/** Releases or kills many waiters in turn. */
async function inTurn(
	t: ExecutionContext,
	{options, address}: {readonly options: StartOptions; readonly address: string},
	count: number,
): Promise<void> {
	t.timeout(atLoad(100_000));
	const holder = await startHolder(t, address, options);
	let waiting = Array.from({length: count}, () => start(t, 'waiter', [address], options));
	await Promise.all(waiting.map(waiter => waiter.expect('waiting')));
	await holder.kill();
	for (let turn = 0; waiting.length > 0; turn++) {
		const [next] = await Promise.race(waiting.map(async waiter => [waiter, await waiter.peek()] as const));
		await next.expect('held');
		await t.throwsAsync(acquire(address), {instanceOf: BindLockError, code: 'EADDRINUSE'});
		waiting = waiting.filter(waiter => waiter !== next);
		if (turn % 2 === 0) await next.kill();
		else next.send('release');
	}
	await (await acquire(address, {waitMs: 10_000})).release();
}
