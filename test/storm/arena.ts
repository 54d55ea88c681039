/**
 * One address of a storm, with its competing processes, connecting clients and detectors.
 */
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';
import {withDeadline} from '../helpers/deadlines.js';
import {listeners, reach} from '../helpers/detectors.js';
import {type Event, Program} from '../helpers/programs.js';
import {lockHolders, Persistent, type Tenure, Tenures} from './evidence.js';
import {type Command, choose, type Plan} from './plan.js';
import {Random} from './random.js';

export interface Tally {
	turns: number;
	held: number;
	refused: number;
	killed: number;
	stopped: number;
	aborted: number;
	clients: number;
	looks: number;
	naive: number;
	cleaned: number;
	/** Naive servers that lost their address in a window that no system call closes. */
	windows: number;
}

export function now(): number {
	return Number(process.hrtime.bigint()) / 1e6;
}

/** Expected error codes. All others are reported. */
const expectedCodes = ['EADDRINUSE', 'ABORTED'];

export class Arena {
	readonly address: string;
	readonly tally: Tally;
	readonly tenures: Tenures;
	readonly #report: (what: string) => void;
	readonly #programs = new Map<number, Program>();
	readonly #cooperative: boolean;
	/** When bindlock processes took or released. A removal in a known window must lie in one of these intervals. */
	readonly operations: {readonly from: number; readonly to: number}[] = [];
	ended = false;

	constructor(address: string, cooperative: boolean, tally: Tally, report: (what: string) => void) {
		this.address = address;
		this.tally = tally;
		this.#cooperative = cooperative;
		this.#report = what => report(`${JSON.stringify(address)}: ${what}`);
		this.tenures = new Tenures(this.#report, cooperative);
	}

	/** Runs one process after the other. Equal seeds make equal choices. */
	async play(seed: number): Promise<void> {
		const random = new Random(seed);
		let program: Program | undefined;
		while (!this.ended) {
			program ??= await this.#startActor();
			const plan = choose(random);
			this.tally.turns++;
			const alive: boolean = await this.#turn(program, plan);
			if (!alive) program = await this.#bury(program);
			await sleep(plan.restMs);
		}
		if (program !== undefined) await this.#bury(program);
	}

	async #startActor(): Promise<Program> {
		const program = start('actor', this.address);
		this.#programs.set(program.pid, program);
		await program.expect('ready');
		return program;
	}

	async #bury(program: Program): Promise<undefined> {
		await program.kill();
		this.#programs.delete(program.pid);
	}

	/** @returns whether the process is still alive */
	async #turn(program: Program, plan: Plan): Promise<boolean> {
		tell(program, plan.take);
		const event = await this.#outcome(program, plan);
		if (event === undefined) return false;
		// The unlink and the bind are the last calls, however long the process waited before.
		this.#operation(Number(event['at']) - 50, Number(event['at']));
		if (event.event !== 'holds') {
			this.tally.refused++;
			if (event['code'] === 'ABORTED') this.tally.aborted++;
			if (!expectedCodes.includes(String(event['code']))) this.#report(`refused: ${JSON.stringify(event)}`);
			return true;
		}
		this.tally.held++;
		const tenure = this.tenures.start(program.pid, Number(event['began']), Number(event['at']));
		await this.#hold(program, plan);
		return this.#end(program, plan, tenure);
	}

	/** Returns the next event, or `undefined` if the process was killed while it waited. */
	async #outcome(program: Program, plan: Plan): Promise<Event | undefined> {
		const impatient = new AbortController();
		const event = program.next();
		const late = sleep(plan.patienceMs, 'late' as const, {signal: impatient.signal}).catch(() => 'settled' as const);
		const first = await Promise.race([event, late]);
		impatient.abort();
		if (first !== 'late') return event;
		if (plan.impatience === 'abort') {
			tell(program, {do: 'abort'});
			return event;
		}
		const killedAt = now();
		program.signal('SIGKILL');
		this.tally.killed++;
		const last = await event.catch(() => undefined);
		if (last?.event === 'holds') {
			// It got the address during the kill, perhaps after the clock was read. On a busy machine it may serve for
			// tens of milliseconds before it dies.
			const at = Number(last['at']);
			const tenure = this.tenures.start(program.pid, Number(last['began']), at);
			this.tenures.end(tenure, Math.max(killedAt, at), now());
		}
		return undefined;
	}

	async #hold(program: Program, {holdMs, stopMs}: Plan): Promise<void> {
		await sleep(holdMs);
		if (stopMs === 0) return;
		this.tally.stopped++;
		program.signal('SIGSTOP');
		await sleep(stopMs);
	}

	async #end(program: Program, {ending, stopMs}: Plan, tenure: Tenure): Promise<boolean> {
		const told = now();
		tenure.sure = told;
		if (ending === 'kill') {
			await program.kill();
			this.tally.killed++;
			this.tenures.end(tenure, told, now());
			return false;
		}
		if (stopMs > 0) program.signal('SIGCONT');
		tell(program, {do: ending});
		if (ending === 'exit') {
			// The time of the release is unknown, but not before the command.
			await withDeadline(program.exited);
			this.tenures.end(tenure, told, now());
			this.#operation(told, now());
			return false;
		}
		const free = await program.expect('free');
		this.tenures.end(tenure, Number(free['lets']), Number(free['at']));
		this.#operation(Number(free['lets']), Number(free['at']));
		if (Number(free['descriptors']) > 60) this.#report(`${program.pid} collects descriptors: ${free['descriptors']}`);
		return true;
	}

	#operation(from: number, to: number): void {
		this.operations.push({from, to});
		if (this.operations.length > 1000) this.operations.shift();
	}

	/** Connects clients for the duration of the storm. */
	async connect(seed: number): Promise<void> {
		const random = new Random(seed);
		while (!this.ended) {
			const asked = now();
			const answer = await withDeadline(reach(this.address), 2000).catch(() => 'slow');
			this.tally.clients++;
			if (this.#cooperative && typeof answer === 'number' && !Number.isNaN(answer)) {
				const answered = now();
				// The event of the answering process may still be on its way.
				void sleep(200).then(() => this.tenures.check(answer, asked, answered));
			}
			await sleep(random.upTo(10));
		}
	}

	/** Watches the kernel's view: the holder of the lock, and the number of listening sockets. */
	async watch(): Promise<void> {
		const bound = new Persistent(25);
		while (!this.ended) {
			this.tally.looks++;
			if (!this.address.startsWith('\0')) this.#lookAtLock();
			const count = listeners(this.address);
			if (bound.seen(count > 1 ? String(count) : undefined)) this.#report(`${count} servers listen`);
			await sleep(4);
		}
	}

	#lookAtLock(): void {
		const from = now();
		const locked = lockHolders(`${this.address}.lock`, [...this.#programs.keys()]);
		const to = now();
		void sleep(200).then(() => this.tenures.checkLocked(locked, from, to));
	}

	/** Ends all remaining processes. */
	async close(): Promise<void> {
		await Promise.all([...this.#programs.values()].map(program => program.kill()));
	}
}

export function start(program: 'actor' | 'naive', address: string): Program {
	const script = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
	// Arguments cannot contain a NUL.
	return new Program(process.execPath, [script, address.replace('\0', 'unix-abstract:')]);
}

function tell(program: Program, command: Command): void {
	program.send(JSON.stringify(command));
}
