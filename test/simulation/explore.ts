/**
 * `npm run simulate -- [--long] [--only TEXT] [--mutants] [--replay 'SCENARIO: SCHEDULE']`: explores all
 * interleavings of all scenarios. On a violation it prints the schedule and exits with 1.
 */
import {parseArgs} from 'node:util';
import {type Exploration, explore} from './explorer.js';
import {type Mutant, mutants} from './mutants.js';
import {longScenarios, quickScenarios, scenario} from './scenarios.js';
import {parseSchedule, printSchedule, replay} from './schedule.js';
import type {Step} from './state.js';

const {values} = parseArgs({
	options: {
		long: {type: 'boolean', default: false},
		only: {type: 'string', default: ''},
		mutants: {type: 'boolean', default: false},
		mutant: {type: 'string', default: ''},
		replay: {type: 'string'},
	},
});

function say(line: string): void {
	process.stdout.write(`${line}\n`);
}

/** Formats the scenario and the schedule for `--replay`. */
function printCase(name: string, schedule: readonly Step[]): string {
	return `${name}: ${printSchedule(schedule)}`;
}

function report(name: string, {states, steps, schedules, milliseconds}: Exploration): void {
	const seconds = (milliseconds / 1000).toFixed(1);
	const digits = schedules.toPrecision(3);
	say(`${name}\n   ${states} states, ${steps} steps, ${digits} schedules, ${seconds} s`);
}

function exploreOne(name: string): boolean {
	const progress = (states: number): void => void process.stderr.write(`\r   ${states} states…\r`);
	const found = explore(scenario(name, values.mutant), process.stderr.isTTY ? progress : undefined);
	report(name, found);
	for (const [window, schedule] of found.windows) say(`   window: ${window}\n      ${printCase(name, schedule)}`);
	if (found.violation === undefined) return true;
	say(`   VIOLATION: ${found.violation.message}\n   ${printCase(name, found.violation.schedule)}`);
	for (const line of replay(scenario(name, values.mutant), found.violation.schedule).lines) say(`      ${line}`);
	return false;
}

function catchOne(mutant: string, {caughtBy, breaks}: Mutant): boolean {
	const {violation, states} = explore(scenario(caughtBy, mutant));
	const {message = 'nothing is broken', schedule = []} = violation ?? {};
	const caught = breaks.test(message);
	say(`${caught ? 'caught' : 'SURVIVES'}: ${mutant}\n   ${message} (${states} states)`);
	say(`   ${printCase(caughtBy, schedule)}`);
	return caught;
}

function replayOne(text: string): boolean {
	const colon = text.lastIndexOf(':');
	const {lines, violation} = replay(
		scenario(text.slice(0, colon), values.mutant),
		parseSchedule(text.slice(colon + 1)),
	);
	for (const line of lines) say(line);
	return violation === undefined;
}

function main(): boolean {
	if (values.replay !== undefined) return replayOne(values.replay);
	if (values.mutants) {
		const outcomes = Object.entries(mutants).map(([name, mutant]) => catchOne(name, mutant));
		return outcomes.every(Boolean);
	}
	const names = [...quickScenarios, ...(values.long ? longScenarios : [])];
	const outcomes = names.filter(name => name.includes(values.only)).map(exploreOne);
	return outcomes.every(Boolean);
}

process.exitCode = main() ? 0 : 1;
