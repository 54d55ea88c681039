/**
 * Whether fewer states show the same: a scenario is explored with processes that are told apart by all of their
 * answers, and with those that only remember what they use (memory.ts).
 */
import type {ExecutionContext} from 'ava';
import {explore} from './explorer.js';
import {scenario} from './scenarios.js';

/** Two states that count as one wrongly would have different futures, and then the number of schedules changes. */
export function sameWhenReduced(t: ExecutionContext, name: string, mutant = ''): void {
	const exact = explore(scenario(name, mutant, true));
	const reduced = explore(scenario(name, mutant));
	t.log(`${exact.states} states, and ${reduced.states}`);
	t.true(reduced.states <= exact.states);
	t.is(reduced.violation?.message, exact.violation?.message);
	// Sums of doubles, in different orders.
	t.true(Math.abs(reduced.schedules / exact.schedules - 1) < 1e-9 || exact.violation !== undefined);
	t.deepEqual([...reduced.windows.keys()].sort(), [...exact.windows.keys()].sort());
	t.deepEqual([...reduced.ends].sort(), [...exact.ends].sort());
}
