/**
 * Random choices for the next turn of a process in a storm.
 */
import type {Random} from './random.js';

export type Command =
	| {
			readonly do: 'take';
			readonly serves: boolean;
			readonly waitMs: number | undefined;
			readonly removeLockFile: boolean;
	  }
	| {readonly do: 'release' | 'close' | 'abort' | 'exit'};

/** One turn: take, hold, and release or die. */
export interface Plan {
	readonly take: Extract<Command, {do: 'take'}>;
	/** How long the process may wait, and what happens then. */
	readonly patienceMs: number;
	readonly impatience: 'abort' | 'kill';
	readonly holdMs: number;
	/** The time between SIGSTOP and SIGCONT; 0: no SIGSTOP. */
	readonly stopMs: number;
	readonly ending: 'release' | 'close' | 'exit' | 'kill';
	readonly restMs: number;
}

export function choose(random: Random): Plan {
	return {
		take: {
			do: 'take',
			serves: random.chance(0.8),
			waitMs: random.pick([0, 0, 20, 200, undefined]),
			removeLockFile: random.chance(0.4),
		},
		patienceMs: random.upTo(random.pick([40, 400])),
		impatience: random.pick(['abort', 'abort', 'kill']),
		holdMs: random.upTo(15),
		stopMs: random.chance(0.1) ? 1 + random.upTo(60) : 0,
		ending: random.pick(['release', 'release', 'release', 'close', 'close', 'close', 'exit', 'kill', 'kill']),
		restMs: random.upTo(10),
	};
}
