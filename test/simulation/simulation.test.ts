/**
 * Explores the shipped protocol in every interleaving of every quick scenario. A violation is printed with its
 * schedule, which `npm run simulate -- --replay` runs again.
 */
import test, {type ExecutionContext} from 'ava';
import {explore} from './explorer.js';
import {windows} from './invariants.js';
import {quickScenarios, scenario} from './scenarios.js';
import {parseSchedule, printSchedule, replay} from './schedule.js';

const seen = new Set<string>();

function holds(t: ExecutionContext, name: string): void {
	const {states, steps, schedules, milliseconds, violation, windows: found} = explore(scenario(name));
	for (const window of found.keys()) seen.add(window);
	t.log(`${states} states, ${steps} steps, ${schedules.toPrecision(3)} schedules, ${Math.round(milliseconds)} ms`);
	if (violation === undefined) {
		t.pass();
		return;
	}
	const {lines} = replay(scenario(name), violation.schedule);
	t.fail(`${violation.message}\n${name}: ${printSchedule(violation.schedule)}\n${lines.join('\n')}`);
}

for (const name of quickScenarios) test.serial(name, holds, name);

test.serial('with programs that take no lock, three windows remain, and no other', t => {
	t.deepEqual([...seen].sort(), Object.values(windows).sort());
});

test('a schedule reads as it was printed, and runs the same again', t => {
	const text = 'A A A B!EMFILE A* A-0';
	const steps = parseSchedule(text);
	t.is(printSchedule(steps), text);
	const {lines, violation} = replay(scenario('two, a crash, an error'), steps);
	t.is(violation, undefined);
	t.deepEqual(lines.slice(3), [
		'B  openLockFile("/s.lock", false, 384) → EMFILE',
		'A  is killed',
		'A  the kernel closes its descriptor 0',
	]);
});

test('what is no schedule is refused', t => {
	t.throws(() => parseSchedule('A ?'), {message: '"?" is no step of a schedule'});
});
