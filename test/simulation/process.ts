/**
 * A process of the simulation: a program in phases, run as a function of the answers it was given.
 *
 * Generators cannot be copied, so the explorer keeps, for each program, a tree of all answers so
 * far: a place in the tree stands for everything that the process knows, is made once by running the
 * program anew with those answers, and can be compared by its number. A new phase forgets the answers
 * of the one before, but for what it passes on; that is where histories meet again.
 */
import type {SimulatedCall} from './system.js';

/** What one call came to. */
export type Answer = {readonly value: unknown} | {readonly code: string};

/** A piece of program that yields calls, and returns how the program goes on, if it does. */
export interface Phase {
	/** Tells apart all phases of all programs: equal names, equal behaviour. */
	readonly name: string;
	/** Whether the process has the address meanwhile. */
	readonly holds: boolean;
	body(): Generator<SimulatedCall, Phase | undefined, unknown>;
}

export interface Program {
	readonly name: string;
	/** Runs the protocol, and is held to all of its promises. */
	readonly ours: boolean;
	/** Network namespace; default 0. */
	readonly network?: number;
	readonly start: Phase;
}

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
	readonly #next = new Map<string, Place>();

	private constructor(phase: Phase | undefined, answers: readonly Answer[], call?: SimulatedCall, crashed?: unknown) {
		this.phase = phase;
		this.call = call;
		this.crashed = crashed;
		this.#answers = answers;
	}

	static readonly ended: Place = new Place(undefined, []);
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
			next = Place.#reach(this.phase as Phase, [...this.#answers, answer]);
			this.#next.set(key, next);
		}
		return next;
	}

	static #reach(phase: Phase, answers: readonly Answer[]): Place {
		const running = phase.body();
		try {
			let step = running.next();
			for (const answer of answers) {
				if (step.done) throw new Error(`${phase.name} does not do the same again with the same answers`);
				step = 'code' in answer ? running.throw(errorOf(answer.code)) : running.next(answer.value);
			}
			if (!step.done) return new Place(phase, answers, step.value);
			return step.value === undefined ? Place.ended : Place.start(step.value);
		} catch (error) {
			return new Place(undefined, [], undefined, error);
		}
	}
}

function errorOf(code: string): Error {
	return Object.assign(new Error(code), {code});
}
