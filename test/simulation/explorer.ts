/**
 * Explores every interleaving of a scenario, visits each state once, and stops at the first violation with its
 * schedule.
 */
import {inspectRest} from './invariants.js';
import {Violation} from './kernel.js';
import {kernelKeyOf, keyOf} from './key.js';
import {begin, isAtRest, type Scenario, type State, type Step, steps, take} from './state.js';

export interface Exploration {
	readonly states: number;
	readonly steps: number;
	/** The number of distinct schedules: paths from the initial state to a final state. */
	readonly schedules: number;
	readonly milliseconds: number;
	/** The first schedule that reaches each window. */
	readonly windows: ReadonlyMap<string, readonly Step[]>;
	/** The kernel states in which no process has a next step. */
	readonly ends: ReadonlySet<string>;
	readonly violation?: {readonly message: string; readonly schedule: readonly Step[]};
}

export function explore(scenario: Scenario, progress?: (states: number) => void): Exploration {
	return new Explorer(progress).explore(scenario);
}

class Explorer {
	readonly #progress: ((states: number) => void) | undefined;
	/** The number of schedules from each state, by the state's key. Several maps, because a Map holds at most 16 million entries. */
	readonly #seen: readonly Map<string, number>[] = Array.from({length: 64}, () => new Map());
	readonly #schedule: Step[] = [];
	readonly #windows = new Map<string, readonly Step[]>();
	readonly #ends = new Set<string>();
	#states = 0;
	#steps = 0;

	constructor(progress: ((states: number) => void) | undefined) {
		this.#progress = progress;
	}

	explore(scenario: Scenario): Exploration {
		const from = performance.now();
		const {stackTraceLimit} = Error;
		Error.stackTraceLimit = 0;
		let schedules = 0;
		let violation: {message: string; schedule: readonly Step[]} | undefined;
		try {
			schedules = this.#visit(begin(scenario));
		} catch (error) {
			if (!(error instanceof Violation)) throw error;
			violation = {message: error.message, schedule: [...this.#schedule]};
		} finally {
			Error.stackTraceLimit = stackTraceLimit;
		}
		return {
			states: this.#states,
			steps: this.#steps,
			schedules,
			milliseconds: performance.now() - from,
			windows: this.#windows,
			ends: this.#ends,
			...(violation === undefined ? {} : {violation}),
		};
	}

	/** @returns the number of schedules from this state on */
	#visit(state: State): number {
		const key = keyOf(state);
		const seen = this.#seen[key.charCodeAt(key.length - 2) & 63] as Map<string, number>;
		const known = seen.get(key);
		if (known !== undefined) return known;
		this.#states++;
		if (this.#states % 100_000 === 0) this.#progress?.(this.#states);
		const all = steps(state);
		let schedules = 0;
		for (const step of all) {
			this.#steps++;
			this.#schedule.push(step);
			const {state: next, window} = take(state, step);
			if (window !== undefined && !this.#windows.has(window)) this.#windows.set(window, [...this.#schedule]);
			schedules += this.#visit(next);
			this.#schedule.pop();
		}
		if (isAtRest(all)) inspectRest(state);
		if (all.length === 0) {
			this.#ends.add(kernelKeyOf(state));
			schedules = 1;
		}
		seen.set(key, schedules);
		return schedules;
	}
}
