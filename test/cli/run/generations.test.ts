/**
 * Tests reloads of a command, with pretended processes.
 */
import test, {type ExecutionContext} from 'ava';
import type {CommandEnd} from '../../../src/cli/run/command-process.js';
import {type Generation, type GenerationLimits, Generations} from '../../../src/cli/run/generations.js';
import {until} from '../../helpers/deadlines.js';

/** A process that ends and gets ready when the test says so. */
class Pretended implements Generation {
	readonly pid: number;
	readonly locks: readonly number[] = [];
	readonly signals: NodeJS.Signals[] = [];
	readonly ready: Promise<void>;
	readonly exited: Promise<CommandEnd>;
	getReady: () => void = () => {};
	#exit: (end: CommandEnd) => void = () => {};

	constructor(pid: number) {
		this.pid = pid;
		this.ready = new Promise(resolve => {
			this.getReady = resolve;
		});
		this.exited = new Promise(resolve => {
			this.#exit = resolve;
		});
	}

	signal(signal: NodeJS.Signals): void {
		this.signals.push(signal);
		if (signal === 'SIGKILL') this.end({status: 137, signal});
	}

	end(end: CommandEnd = {status: 0, signal: null}): void {
		this.#exit(end);
	}
}

class Command {
	readonly processes: Pretended[] = [new Pretended(1)];
	readonly changes: string[] = [];
	readonly generations: Generations;
	error: string | undefined;

	constructor(t: ExecutionContext, limits: Partial<GenerationLimits> = {}) {
		// Timers to kill them would keep the test process alive.
		t.teardown(() => {
			for (const process of this.processes) process.end();
		});
		const all = {startTimeoutMs: 60_000, stopSignal: 'SIGTERM', stopTimeoutMs: 60_000, ...limits} as const;
		this.generations = new Generations(
			this.processes[0] as Pretended,
			() => this.#start(),
			all,
			() => {
				const {current, reloads} = this.generations;
				const {begun, ended, error = ''} = reloads;
				this.changes.push(`${current.pid}: ${begun}/${ended} ${error}`.trim());
			},
		);
	}

	#start(): Generation | Promise<string> {
		if (this.error !== undefined) return Promise.resolve(this.error);
		const process = new Pretended(this.processes.length + 1);
		this.processes.push(process);
		return process;
	}

	/** Returns a process by its pid, once it is started. */
	async process(pid: number): Promise<Pretended> {
		await until(() => this.processes[pid - 1] !== undefined, `process ${pid}`);
		return this.processes[pid - 1] as Pretended;
	}

	/** Reloads, and lets the new process get ready. */
	async reload(): Promise<void> {
		const next = this.processes.length + 1;
		this.generations.reload();
		(await this.process(next)).getReady();
		await until(() => this.generations.current.pid === next, 'the new process serves');
	}
}

test('the new process is ready: the old one gets the stop signal', async t => {
	const command = new Command(t, {stopSignal: 'SIGQUIT'});
	const one = await command.process(1);
	command.generations.reload();
	const two = await command.process(2);
	t.is(command.generations.current.pid, 1);
	t.deepEqual(one.signals, []);
	two.getReady();
	await until(() => command.generations.current.pid === 2, 'the new process serves');
	t.deepEqual(one.signals, ['SIGQUIT']);
	t.deepEqual(two.signals, []);
	t.deepEqual(command.changes, ['1: 1/0', '2: 1/1']);
});

test('an old process that does not end is killed', async t => {
	const command = new Command(t, {stopTimeoutMs: 10});
	const one = await command.process(1);
	await command.reload();
	t.deepEqual(await one.exited, {status: 137, signal: 'SIGKILL'});
	t.deepEqual(one.signals, ['SIGTERM', 'SIGKILL']);
});

test('an old process that has ended is not signalled any more', async t => {
	const command = new Command(t, {stopTimeoutMs: 10});
	const one = await command.process(1);
	await command.reload();
	one.end();
	await new Promise(resolve => setTimeout(resolve, 30));
	t.deepEqual(one.signals, ['SIGTERM']);
});

test('the new process ends before it is ready: the old one continues', async t => {
	const command = new Command(t);
	command.generations.reload();
	(await command.process(2)).end({status: 3, signal: null});
	await until(() => command.changes.length === 2, 'the end of the reload');
	t.is(command.generations.current.pid, 1);
	t.deepEqual((await command.process(1)).signals, []);
	t.deepEqual(command.changes, ['1: 1/0', '1: 1/1 process 2 ended with status 3 before it was ready']);
	await command.reload();
	t.is(command.changes.at(-1), '3: 2/2', 'a later reload forgets the error');
});

test('the new process is not ready in time: it is told to end, and then killed', async t => {
	const command = new Command(t, {startTimeoutMs: 5, stopTimeoutMs: 5});
	command.generations.reload();
	const two = await command.process(2);
	await until(() => command.changes.length === 2, 'the end of the reload');
	t.deepEqual(two.signals, ['SIGTERM', 'SIGKILL']);
	t.deepEqual((await command.process(1)).signals, []);
	t.is(command.changes.at(-1), '1: 1/1 process 2 was not ready within 5 ms');
});

test('the command cannot be started', async t => {
	const command = new Command(t);
	command.error = 'EAGAIN';
	command.generations.reload();
	await until(() => command.changes.length === 2, 'the end of the reload');
	t.is(command.changes.at(-1), '1: 1/1 the command cannot be started (EAGAIN)');
});

test('requests during a reload cause one more', async t => {
	const command = new Command(t);
	for (let request = 0; request < 4; request++) command.generations.reload();
	(await command.process(2)).getReady();
	(await command.process(3)).getReady();
	await until(() => command.generations.reloads.ended === 2, 'the second reload');
	t.is(command.processes.length, 3);
});

test('the end of the current process ends the command', async t => {
	const command = new Command(t);
	await command.reload();
	(await command.process(2)).end({status: 4, signal: null});
	t.deepEqual(await command.generations.ended(), {status: 4, signal: null});
});

test('the current process ends during a reload: the new one takes its place', async t => {
	const command = new Command(t);
	let end: CommandEnd | undefined;
	void command.generations.ended().then(ended => {
		end = ended;
	});
	command.generations.reload();
	(await command.process(1)).end({status: 4, signal: null});
	const two = await command.process(2);
	two.getReady();
	await until(() => command.generations.current.pid === 2, 'the new process serves');
	t.is(end, undefined);
	two.end({status: 5, signal: null});
	await until(() => end !== undefined, 'the end');
	t.deepEqual(end, {status: 5, signal: null});
});

test('the current process ends during a reload that fails: the command has ended', async t => {
	const command = new Command(t);
	command.generations.reload();
	(await command.process(1)).end({status: 4, signal: null});
	(await command.process(2)).end({status: 6, signal: null});
	t.deepEqual(await command.generations.ended(), {status: 4, signal: null});
});

test('signals go to all processes, SIGHUP to none', async t => {
	const command = new Command(t);
	await command.reload();
	command.generations.signal('SIGHUP');
	const [one, two, three] = [await command.process(1), await command.process(2), await command.process(3)];
	command.generations.signal('SIGUSR1');
	t.deepEqual([one.signals, two.signals, three.signals], [['SIGTERM', 'SIGUSR1'], ['SIGUSR1'], ['SIGUSR1']]);
});

test('SIGTERM cancels a requested reload', async t => {
	const command = new Command(t);
	command.generations.reload();
	command.generations.reload();
	const two = await command.process(2);
	command.generations.signal('SIGTERM');
	for (const process of [await command.process(1), two]) process.end({status: 143, signal: 'SIGTERM'});
	t.deepEqual(await command.generations.ended(), {status: 143, signal: 'SIGTERM'});
	t.is(command.processes.length, 2);
});

test('older processes are killed when the current one ends by itself, and waited for after SIGTERM', async t => {
	const crashed = new Command(t);
	await crashed.reload();
	await crashed.generations.retiredEnded();
	t.deepEqual((await crashed.process(1)).signals, ['SIGTERM', 'SIGKILL']);

	const stopped = new Command(t);
	await stopped.reload();
	stopped.generations.signal('SIGTERM');
	const ended = stopped.generations.retiredEnded();
	const one = await stopped.process(1);
	one.end();
	await ended;
	t.deepEqual(one.signals, ['SIGTERM'], 'a second one could mean: at once');
});
