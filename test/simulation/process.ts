/**
 * A simulated process: a program in phases, as a function of the answers to its calls.
 *
 * Generators cannot be copied. So the explorer keeps a tree of answers for each program. A place in the tree stands
 * for everything that the process knows. It is computed once, by running the program again with the same answers,
 * and compared by its number. A new phase forgets the answers of the phase before it, except for what it receives
 * from it. There, different histories merge.
 */
import {someHolder} from './kernel.js';
import type {SimulatedCall} from './system.js';

/** The result of one call. */
export type Answer = {readonly value: unknown} | {readonly code: string};

/** A part of a program. It yields calls and returns the next phase, if there is one. */
export interface Phase {
	/** Identifies the phase among all programs: equal names, equal behaviour. */
	readonly name: string;
	/** Whether the process has the address during the phase. */
	readonly holds: boolean;
	/** Whether it accepts connections, if it has a socket. */
	readonly accepts?: boolean;
	/** Whether the service may end with the process. */
	readonly isVital?: boolean;
	/** Distinguishes processes by all of their answers: many more states, the same behaviour. */
	readonly isExact?: boolean;
	body(): Generator<SimulatedCall, Phase | undefined, unknown>;
	/**
	 * Returns what the program still remembers of these calls when it makes the next one. Equal texts, equal behaviour
	 * from there on. `undefined`: it may remember everything.
	 */
	remembered?(history: readonly Made[], next: SimulatedCall): string | undefined;
}

/** A call that was made, and its answer. */
export interface Made {
	readonly call: SimulatedCall;
	readonly answer: Answer;
}

export interface Program {
	readonly name: string;
	/** Whether the program runs the bindlock protocol. All invariants apply to it. */
	readonly ours: boolean;
	/** Network namespace; default 0. */
	readonly network?: number;
	readonly start: Phase;
}

/** The depth of the lookahead. A greater depth merges hardly more places, and explores the loops of the protocol. */
const maxAhead = 3;

const done: Answer = {value: undefined};
const yes: Answer = {value: true};
const no: Answer = {value: false};

/** All possible answers to calls that have few. */
const answersTo: Readonly<Partial<Record<SimulatedCall['name'], readonly Answer[]>>> = {
	close: [done, {code: 'EINTR'}],
	pause: [done, {code: 'ABORT'}],
	truncate: [done, {code: 'EIO'}],
	write: [yes, {code: 'ENOSPC'}],
	flock: [yes, no, {code: 'ENOLCK'}, {code: 'EINTR'}],
	awaitFlock: [yes, no, {code: 'ABORT'}],
	unlink: [yes, no, {code: 'EIO'}],
	link: [done, {code: 'ENOENT'}, {code: 'EEXIST'}, {code: 'ENOSPC'}],
	contention: [
		{value: {kind: 'exclusive'}},
		{value: {kind: 'exclusive', holder: someHolder}},
		{value: {kind: 'shared'}},
		{value: {kind: 'shared', holder: someHolder}},
		{value: {kind: 'unseen'}},
	],
	hasEnded: [no],
	placeOf: [{value: {isMountPoint: false}}],
};

/** What a process knows, and its next call. */
export class Place {
	static #count = 0;

	readonly id: number = Place.#count++;
	readonly phase: Phase | undefined;
	/** `undefined`: the program has ended. */
	readonly call: SimulatedCall | undefined;
	/** The error that ended the program. */
	readonly crashed: unknown;
	readonly #answers: readonly Answer[];
	#possible: ReadonlySet<string> | undefined;
	readonly #next = new Map<string, Place>();

	private constructor(phase: Phase | undefined, answers: readonly Answer[], call?: SimulatedCall, crashed?: unknown) {
		this.phase = phase;
		this.call = call;
		this.crashed = crashed;
		this.#answers = answers;
	}

	static readonly ended: Place = new Place(undefined, []);
	/** The current depth of the lookahead. */
	static #ahead = 0;
	static readonly #starts = new Map<string, Place>();

	static start(phase: Phase): Place {
		let start = Place.#starts.get(phase.name);
		if (start === undefined) {
			start = Place.#reach(phase, []);
			Place.#starts.set(phase.name, start);
		}
		return start;
	}

	/** Returns the place after this answer. */
	answered(answer: Answer): Place {
		const key = JSON.stringify(answer);
		let next = this.#next.get(key);
		if (next === undefined) {
			if (this.#possible?.has(key) === false) throw new Error(`${this.call?.name} must not be answered ${key}`);
			next = Place.#reach(this.phase as Phase, [...this.#answers, answer]);
			this.#next.set(key, next);
		}
		return next;
	}

	/** Identifies the places after every answer, if the call has few. Places with the same successors are merged. */
	#future(call: SimulatedCall): string | undefined {
		const possible = answersTo[call.name];
		if (possible === undefined || Place.#ahead === maxAhead) return undefined;
		this.#possible = new Set(possible.map(answer => JSON.stringify(answer)));
		Place.#ahead++;
		const places = possible.map(answer => this.answered(answer).id);
		Place.#ahead--;
		return JSON.stringify([call, places]);
	}

	static #reach(phase: Phase, answers: readonly Answer[]): Place {
		const running = phase.body();
		const history: Made[] = [];
		try {
			let step = running.next();
			for (const answer of answers) {
				if (step.done) throw new Error(`${phase.name} does not do the same again with the same answers`);
				history.push({call: step.value, answer});
				step = 'code' in answer ? running.throw(errorOf(answer.code)) : running.next(answer.value);
			}
			if (!step.done) return Place.#merged(phase, history, new Place(phase, answers, step.value));
			return step.value === undefined ? Place.ended : Place.start(step.value);
		} catch (error) {
			return new Place(undefined, [], undefined, error);
		}
	}

	/** Returns the first place with the same behaviour from here on. */
	static #merged(phase: Phase, history: readonly Made[], place: Place): Place {
		if (phase.isExact) return place;
		const call = place.call as SimulatedCall;
		const remembered = phase.remembered?.(history, call) ?? place.#future(call);
		if (remembered === undefined) return place;
		const key = `${phase.name}\n${remembered}`;
		const known = Place.#starts.get(key);
		if (known === undefined) Place.#starts.set(key, place);
		return known ?? place;
	}
}

function errorOf(code: string): Error {
	return Object.assign(new Error(code), {code});
}
