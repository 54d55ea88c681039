/**
 * A process of the simulation: a program in phases, run as a function of the answers it was given.
 *
 * Generators cannot be copied, so the explorer keeps, for each program, a tree of all answers so
 * far: a place in the tree stands for everything that the process knows, is made once by running the
 * program anew with those answers, and can be compared by its number. A new phase forgets the answers
 * of the one before, but for what it passes on; that is where histories meet again.
 */
import {someHolder} from './kernel.js';
import type {SimulatedCall} from './system.js';

/** What one call came to. */
export type Answer = {readonly value: unknown} | {readonly code: string};

/** A piece of program that yields calls, and returns how the program goes on, if it does. */
export interface Phase {
	/** Tells apart all phases of all programs: equal names, equal behaviour. */
	readonly name: string;
	/** Whether the process has the address meanwhile. */
	readonly holds: boolean;
	/** Two processes in it are alike only if they were answered the same: many more states, and the same behaviour. */
	readonly isExact?: boolean;
	body(): Generator<SimulatedCall, Phase | undefined, unknown>;
	/**
	 * What the program still remembers of these calls when it makes the next one: equal texts, equal behaviour from
	 * there on. `undefined`: perhaps everything.
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
	/** Runs the protocol, and is held to all of its promises. */
	readonly ours: boolean;
	/** Network namespace; default 0. */
	readonly network?: number;
	readonly start: Phase;
}

/** A longer look ahead finds hardly more, and would go through the loops of the protocol in every way. */
const maxAhead = 3;

const done: Answer = {value: undefined};
const yes: Answer = {value: true};
const no: Answer = {value: false};

/** All answers that a call can have in the simulation, where these are few. */
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

/** What a process knows, and what it does next. */
export class Place {
	static #count = 0;

	readonly id: number = Place.#count++;
	readonly phase: Phase | undefined;
	/** `undefined`: the program has ended. */
	readonly call: SimulatedCall | undefined;
	/** The program ended by an error of its own. */
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
	/** How many calls the tree is being looked through ahead of a place. */
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

	/** Where this answer leads. */
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

	/** Where each answer leads, if this call can have only few: places that lead to the same places are one. */
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

	/** The first place that is like this one from here on. */
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
