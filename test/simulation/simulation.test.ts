/**
 * Explores the shipped protocol in every interleaving of the quickest scenarios. `simulation.deep.test.ts` has slower
 * ones.
 */
import test from 'ava';
import {holds} from './holding.js';
import {windows} from './invariants.js';
import {quickestScenarios, scenario} from './scenarios.js';
import {parseSchedule, printSchedule, replay} from './schedule.js';

const seen = new Set<string>();

for (const name of quickestScenarios) {
	test.serial(name, t => {
		for (const window of holds(t, name)) seen.add(window);
	});
}

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
