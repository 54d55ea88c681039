/**
 * The test of a scenario: the protocol keeps its promises in every interleaving. A violation is printed with its
 * schedule, which `npm run simulate -- --replay` runs again.
 */
import type {ExecutionContext} from 'ava';
import {explore} from './explorer.js';
import {scenario} from './scenarios.js';
import {printSchedule, replay} from './schedule.js';

/** @returns the windows that were seen */
export function holds(t: ExecutionContext, name: string): Iterable<string> {
	const {states, steps, schedules, milliseconds, violation, windows} = explore(scenario(name));
	t.log(`${states} states, ${steps} steps, ${schedules.toPrecision(3)} schedules, ${Math.round(milliseconds)} ms`);
	if (violation === undefined) {
		t.pass();
		return windows.keys();
	}
	const {lines} = replay(scenario(name), violation.schedule);
	t.fail(`${violation.message}\n${name}: ${printSchedule(violation.schedule)}\n${lines.join('\n')}`);
	return windows.keys();
}
