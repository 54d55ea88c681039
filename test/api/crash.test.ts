/**
 * Tests crashes: SIGKILL before each system call of taking, reclaiming and releasing. Afterwards a
 * newcomer gets the address, and the files of other programs are unchanged.
 */
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync} from 'node:fs';
import {createServer, type Server} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {listen} from '../../src/index.js';
import {listeners, makeStale, reach} from '../helpers/detectors.js';
import {type Program, start, temporaryDirectory} from '../helpers/programs.js';

interface Setting {
	readonly stale?: boolean;
	readonly options?: object;
	/** A foreign server unlinks the socket and binds, before this process releases. */
	readonly masked?: boolean;
	/** The calls that must have been next at one of the deaths. */
	readonly reaches: readonly string[];
}

/** Runs the process until it is killed or has released. @returns whether it was killed, and before which call */
async function live(t: ExecutionContext, address: string, deadly: number, setting: Setting): Promise<Life> {
	const crasher = start(t, 'crasher', [address, String(deadly), JSON.stringify(setting.options ?? {})]);
	let other: Server | undefined;
	if ((await nextOf(crasher)) === 'serving') {
		if (setting.masked) {
			unlinkSync(address);
			other = await bind(address);
		}
		crasher.send('stop');
		await nextOf(crasher);
	}
	const {signal} = await crasher.exited;
	return {killed: signal === 'SIGKILL', before: /killed before (\w+)/.exec(crasher.stderr)?.[1] ?? '', other};
}

interface Life {
	readonly killed: boolean;
	readonly before: string;
	readonly other: Server | undefined;
}

async function nextOf(crasher: Program): Promise<string | undefined> {
	try {
		return (await crasher.next()).event;
	} catch {
		return undefined;
	}
}

async function bind(address: string): Promise<Server> {
	const server = createServer(socket => void socket.on('error', () => {}).end(`${process.pid}\n`));
	server.listen(address);
	await once(server, 'listening');
	return server;
}

async function close(server: Server): Promise<void> {
	server.close();
	await once(server, 'close');
}

/** Checks that one newcomer serves and is reachable, and that files of other programs are unchanged. */
async function checkNewcomer(t: ExecutionContext, address: string, what: string): Promise<void> {
	const server = createServer(socket => void socket.on('error', () => {}).end(`${process.pid}\n`));
	const lock = await listen(server, address);
	t.is(listeners(address), 1, what);
	t.is(await reach(address), process.pid, what);
	await lock.release();
	t.false(existsSync(address), what);
}

async function dieEverywhere(t: ExecutionContext, setting: Setting): Promise<void> {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const neighbour = await bind(join(directory, 'neighbour'));
	writeFileSync(join(directory, 's.precious'), 'theirs');
	const deaths: string[] = [];
	for (let deadly = 1; ; deadly++) {
		if (setting.stale) await makeStale(address);
		const {killed, before, other} = await live(t, address, deadly, setting);
		if (other !== undefined) await checkOther(t, address, other, before);
		await checkNewcomer(t, address, `after a death before ${before}`);
		if (!killed) break;
		deaths.push(before);
	}
	t.log(`${deaths.length} deaths: before ${deaths.join(', ')}`);
	for (const call of setting.reaches) t.true(deaths.includes(call), `no death before ${call}`);
	t.is(await reach(join(directory, 'neighbour')), process.pid);
	await close(neighbour);
	t.is(readFileSync(join(directory, 's.precious'), 'utf8'), 'theirs');
	t.deepEqual(readdirSync(directory), ['s.lock', 's.precious']);
}

/** Checks that the foreign server is bound and reachable. */
async function checkOther(t: ExecutionContext, address: string, other: Server, before: string): Promise<void> {
	t.is(await reach(address), process.pid, `after a death before ${before}`);
	await close(other);
}

test('SIGKILL before each call of taking, serving and releasing', dieEverywhere, {
	reaches: ['openLockFile', 'flock', 'lstat', 'write', 'closeListener', 'truncate', 'close'],
});

test('SIGKILL before each call of reclaiming a stale socket', dieEverywhere, {
	stale: true,
	reaches: ['pin', 'bound', 'connect', 'unlink', 'write'],
});

test('SIGKILL before each call, with removeLockFile', dieEverywhere, {
	options: {removeLockFile: true},
	reaches: ['unlink'],
});

test('SIGKILL before each call of closing a masked server', dieEverywhere, {
	masked: true,
	reaches: ['lstat', 'closeListener'],
});
