/**
 * Explores a scenario with and without the reduction of memory.ts, and compares the results.
 */
import type {ExecutionContext} from 'ava';
import {explore} from './explorer.js';
import {scenario} from './scenarios.js';

/** The number of schedules reveals a wrong merge: states with different futures would count as one. */
export function sameWhenReduced(t: ExecutionContext, name: string, mutant = ''): void {
	const exact = explore(scenario(name, mutant, true));
	const reduced = explore(scenario(name, mutant));
	t.log(`${exact.states} states, and ${reduced.states}`);
	t.true(reduced.states <= exact.states);
	t.is(reduced.violation?.message, exact.violation?.message);
	// The sums of doubles are computed in different orders.
	t.true(Math.abs(reduced.schedules / exact.schedules - 1) < 1e-9 || exact.violation !== undefined);
	t.deepEqual([...reduced.windows.keys()].sort(), [...exact.windows.keys()].sort());
	t.deepEqual([...reduced.ends].sort(), [...exact.ends].sort());
}
