/**
 * The whole machine at one moment, and its possible next steps: a call of one process, a failing call, a kill, and the
 * kernel closing a descriptor of a dead process.
 */
import {codeOf} from '../../src/model/errors.js';
import {inspectState, inspectStep} from './invariants.js';
import {failure, Kernel} from './kernel.js';
import {type Answer, Place, type Program} from './process.js';
import {path, paths} from './programs.js';
import {SimulatedSystem} from './system.js';

/** What the invariants remember of a process between its calls. */
export interface Local {
	readonly place: Place;
	/** The path that the latest call looked at, if that was a look. */
	readonly looked: string;
	/** Whether another process has changed that entry since. */
	readonly changed: boolean;
	/** Whether another socket was at the path when the process looked at the file that its bind had created. */
	readonly misbound: boolean;
	/** Whether its connect was refused by a bound server that no other call shows in its network namespace. */
	readonly refused: boolean;
	/** Whether it has removed its own socket file, and closes the socket next. */
	readonly closing: boolean;
	/** Whether it crashed, or a call failed, when the service could end with it. */
	readonly fell: boolean;
}

/** How many crashes and errors may still happen. */
export interface Budget {
	readonly crashes: number;
	readonly errors: number;
}

export interface Scenario {
	readonly name: string;
	readonly programs: readonly Program[];
	readonly budget: Budget;
	/**
	 * The invariants that must hold for bindlock processes: all; all except that the path leads to the serving process
	 * (outsiders unlink sockets); or only that they unlink no bound socket (outsiders break the lock).
	 */
	readonly promise: 'all' | 'lock' | 'bound';
	/** Creates the initial files. */
	readonly prepare?: (kernel: Kernel) => void;
	readonly kind?: 'pathname' | 'abstract';
	/** The mount does not record access times. */
	readonly noatime?: boolean;
	/** The code with which a newcomer is refused in the final state. */
	readonly refused?: string;
	/** Servers hand over; the last one stays, or each stops in the end. */
	readonly handOver?: 'stays' | 'stops';
}

export interface State {
	readonly scenario: Scenario;
	readonly kernel: Kernel;
	readonly locals: readonly Local[];
	readonly budget: Budget;
}

export type Step =
	| {readonly kind: 'call'; readonly pid: number; readonly fails?: string}
	| {readonly kind: 'crash'; readonly pid: number}
	| {readonly kind: 'close'; readonly pid: number; readonly descriptor: number};

export interface Outcome {
	readonly state: State;
	readonly answer?: Answer;
	/** The window of a known race in which the step removed an entry of another process. */
	readonly window?: string;
}

const nothingSeen = {looked: '', changed: false, misbound: false, refused: false, closing: false, fell: false} as const;

export function begin(scenario: Scenario): State {
	// One more process than programs: the newcomer of the final state.
	const networks = [...scenario.programs.map(program => program.network ?? 0), 0];
	const kernel = new Kernel(paths, networks, !scenario.noatime);
	scenario.prepare?.(kernel);
	const locals = scenario.programs.map(({start}) => ({...nothingSeen, place: Place.start(start)}));
	return {scenario, kernel, locals, budget: scenario.budget};
}

export function steps({scenario, kernel, locals, budget}: State): Step[] {
	const all: Step[] = [];
	for (const [pid, {place}] of locals.entries()) {
		const {descriptors, dying} = kernel.process(pid);
		if (dying) {
			for (const [descriptor, open] of descriptors.entries()) {
				if (open !== undefined) all.push({kind: 'close', pid, descriptor});
			}
			continue;
		}
		if (place.call === undefined) continue;
		if (place.call.name === 'awaitFork' && kernel.process(pid).parent === undefined) continue;
		if (new SimulatedSystem(kernel, pid).isReady(place.call)) all.push({kind: 'call', pid});
		if (canTimeOut(place.call)) all.push({kind: 'call', pid, fails: 'timeout'});
		if (budget.crashes > 0) all.push({kind: 'crash', pid});
		if (budget.errors === 0 || !scenario.programs[pid]?.ours) continue;
		for (const fails of failures(place.call)) all.push({kind: 'call', pid, fails});
	}
	return all;
}

/** Whether nothing happens any more, unless a process is killed. One that waits for ever still can be. */
export function isAtRest(next: readonly Step[]): boolean {
	return next.every(({kind}) => kind === 'crash');
}

function canTimeOut({name, parameters}: NonNullable<Place['call']>): boolean {
	return ['awaitFlock', 'awaitLockSocket', 'receive'].includes(name) && parameters[1] !== Number.POSITIVE_INFINITY;
}

/** The errors of each call, from EIO, EMFILE, ENOSPC, EINTR and ENOLCK, where they make a difference. */
function failures({name, parameters}: NonNullable<Place['call']>): readonly string[] {
	if (name === 'openLockFile') return parameters[1] ? ['EMFILE', 'ENOSPC'] : ['EMFILE', 'EINTR'];
	return failuresOf[name] ?? [];
}

const failuresOf: Readonly<Record<string, readonly string[]>> = {
	pin: ['EMFILE'],
	close: ['EINTR'],
	fstat: ['EIO'],
	lstat: ['EIO'],
	read: ['EIO'],
	write: ['ENOSPC', 'short'],
	truncate: ['EIO'],
	flock: ['ENOLCK', 'EINTR'],
	unlink: ['EIO'],
	link: ['ENOSPC'],
	rename: ['EIO'],
	connect: ['EMFILE', 'ABORT'],
	bound: ['EMFILE'],
	contention: ['EMFILE'],
	bind: ['EMFILE'],
	bindLockSocket: ['EMFILE'],
	fork: ['EAGAIN'],
	// Aborted by its signal, as every call that takes time.
	awaitFlock: ['ABORT'],
	awaitLockSocket: ['ABORT'],
	pause: ['ABORT'],
};

/** @throws Violation if an invariant is broken */
export function take(from: State, step: Step): Outcome {
	const {scenario, kernel: before, locals, budget} = from;
	const kernel = before.copy();
	const {pid} = step;
	let local = locals[pid] as Local;
	let answer: Answer | undefined;
	let window: string | undefined;
	if (step.kind === 'crash') {
		kernel.kill(pid);
	} else if (step.kind === 'close') {
		kernel.close(pid, step.descriptor);
	} else {
		if (scenario.programs[pid]?.ours) window = inspectStep(from, pid);
		answer = perform(kernel, pid, local.place, step.fails);
		local = {...follow(before, pid, local, answer), fell: local.fell || (isFailure(step) && mayEndService(local))};
	}
	const changed = {
		crashes: budget.crashes - (step.kind === 'crash' ? 1 : 0),
		errors: budget.errors - (isFailure(step) ? 1 : 0),
	};
	const after = notice(bury(step, locals.with(pid, local), before, kernel), pid, before, kernel);
	const state = {scenario, kernel, locals: after, budget: changed};
	inspectState(state, pid, (locals[pid] as Local).place);
	return {state, ...(answer === undefined ? {} : {answer}), ...(window === undefined ? {} : {window})};
}

/** A time-out is no failure. */
function isFailure(step: Step): boolean {
	return step.kind === 'call' && (step.fails ?? 'timeout') !== 'timeout';
}

function mayEndService({place}: Local): boolean {
	return place.phase?.isVital ?? false;
}

function perform(kernel: Kernel, pid: number, {call}: Place, fails: string | undefined): Answer {
	if (call === undefined) throw new Error('an ended process makes no calls');
	const {name, parameters} = call;
	const system = new SimulatedSystem(kernel, pid);
	const make = (...given: readonly unknown[]): unknown =>
		(system as unknown as Readonly<Record<string, (...all: readonly unknown[]) => unknown>>)[name]?.(...given);
	try {
		if (fails === undefined) return {value: make(...parameters)};
		if (name === 'write' && fails === 'short') return {value: make(parameters[0], parameters[1].slice(0, -1))};
		// Linux frees the descriptor even if close(2) reports an error.
		if (name === 'close') make(...parameters);
		// These calls report no errors: as in src/kernel/, the result says that nothing was found.
		if (name === 'connect' && fails !== 'ABORT') return {value: fails};
		if (fails === 'timeout') return {value: false};
		if (name === 'contention') return {value: {kind: 'unseen'}};
		throw failure(fails);
	} catch (error) {
		if (codeOf(error) === 'UNKNOWN') throw error;
		return {code: codeOf(error)};
	}
}

function follow(before: Kernel, pid: number, local: Local, answer: Answer): Local {
	const {place} = local;
	const {name = '', parameters = []} = place.call ?? {};
	const next = place.answered(answer);
	const taking = next.phase !== place.phase && !next.phase?.holds;
	const socket = before.process(pid).descriptors.find(each => each?.kind === 'socket');
	const another = name === 'lstat' && place.phase?.name.includes(': serve') && before.entry(path) !== socket?.ino;
	return {
		place: next,
		looked: next.phase === place.phase && ['lstat', 'link', 'rename'].includes(name) ? String(parameters[0]) : '',
		changed: false,
		misbound: !taking && (local.misbound || (another === true && before.entry(path) !== 0)),
		refused: !taking && (local.refused || (name === 'connect' && isElsewhere(before, pid))),
		closing:
			name === 'unlinkAsLibuv' ||
			(name === 'unlink' && parameters[0] === path && socket !== undefined) ||
			(local.closing && name !== 'close'),
		fell: local.fell,
	};
}

/** Whether the path leads to a server in another network namespace that is bound and does not listen yet. */
function isElsewhere(kernel: Kernel, pid: number): boolean {
	const server = kernel.boundSocket(kernel.entry(path));
	const {network} = kernel.process(pid);
	return server !== undefined && !server.socket.listening && kernel.process(server.pid).network !== network;
}

/** A killed process makes no further calls. */
function bury(step: Step, locals: readonly Local[], before: Kernel, after: Kernel): readonly Local[] {
	return locals.map((local, pid) =>
		after.process(pid).dying && !before.process(pid).dying
			? {...nothingSeen, place: Place.ended, fell: step.kind === 'crash' && mayEndService(local)}
			: local,
	);
}

/** Marks the processes whose looked-at entry another process has changed. */
function notice(locals: readonly Local[], actor: number, before: Kernel, after: Kernel): readonly Local[] {
	if (before.names === after.names) return locals;
	return locals.map((local, pid) => {
		if (pid === actor || local.looked === '' || local.changed) return local;
		return before.entry(local.looked) === after.entry(local.looked) ? local : {...local, changed: true};
	});
}
