/**
 * Tests that the simulation catches every mutant, by the expected violation and with a schedule that reproduces it.
 */
import test from 'ava';
import {explore} from './explorer.js';
import {mutants} from './mutants.js';
import {scenario} from './scenarios.js';
import {parseSchedule, printSchedule, replay} from './schedule.js';

for (const [mutant, {caughtBy, breaks}] of Object.entries(mutants)) {
	test(mutant, t => {
		const broken = scenario(caughtBy, mutant);
		const {violation, states} = explore(broken);
		if (violation === undefined) return t.fail(`survives ${states} states of "${caughtBy}"`);
		t.regex(violation.message, breaks);
		const printed = printSchedule(violation.schedule);
		t.log(`${violation.message}, in ${caughtBy}: ${printed}`);
		t.is(replay(broken, parseSchedule(printed)).violation?.message, violation.message);
	});
}
