/**
 * Schedules as text, to print and replay, with one word for each step. `A` is the next call of the first process,
 * `A!EIO` a failure of that call, `A*` its death, `A-2` the kernel closing its descriptor 2.
 */
import {inspectRest, name} from './invariants.js';
import {Violation} from './kernel.js';
import {begin, isAtRest, type Outcome, type Scenario, type State, type Step, steps, take} from './state.js';

export function printSchedule(steps: readonly Step[]): string {
	return steps.map(printStep).join(' ');
}

function printStep(step: Step): string {
	if (step.kind === 'crash') return `${name(step.pid)}*`;
	if (step.kind === 'close') return `${name(step.pid)}-${step.descriptor}`;
	return step.fails === undefined ? name(step.pid) : `${name(step.pid)}!${step.fails}`;
}

export function parseSchedule(text: string): Step[] {
	return text.trim().split(/\s+/).filter(Boolean).map(parseStep);
}

function parseStep(word: string): Step {
	const [, letter, crash, descriptor, fails] = /^([A-Z])(?:(\*)|-(\d+)|!(\w+))?$/.exec(word) ?? [];
	if (letter === undefined) throw new Error(`"${word}" is no step of a schedule`);
	const pid = letter.charCodeAt(0) - 65;
	if (crash !== undefined) return {kind: 'crash', pid};
	if (descriptor !== undefined) return {kind: 'close', pid, descriptor: Number(descriptor)};
	return {kind: 'call', pid, ...(fails === undefined ? {} : {fails})};
}

export interface Replay {
	/** One line for each step: process, call, answer. */
	readonly lines: readonly string[];
	readonly state: State;
	readonly violation?: Violation;
	readonly windows: readonly string[];
}

/** Runs a scenario by a schedule, to its end or to the first violation, and looks at the final state. */
export function replay(scenario: Scenario, schedule: readonly Step[]): Replay {
	const lines: string[] = [];
	const windows: string[] = [];
	let state = begin(scenario);
	for (const step of schedule) {
		const line = `${name(step.pid)}  ${describeStep(state, step)}`;
		let outcome: Outcome;
		try {
			outcome = take(state, step);
		} catch (error) {
			if (!(error instanceof Violation)) throw error;
			lines.push(line, `   violation: ${error.message}`);
			return {lines, state, violation: error, windows};
		}
		lines.push(line + describeAnswer(outcome));
		if (outcome.window !== undefined) windows.push(outcome.window);
		state = outcome.state;
	}
	try {
		if (isAtRest(steps(state))) inspectRest(state);
	} catch (error) {
		if (!(error instanceof Violation)) throw error;
		lines.push(`   violation: ${error.message}`);
		return {lines, state, violation: error, windows};
	}
	return {lines, state, windows};
}

function describeStep({locals}: State, step: Step): string {
	if (step.kind === 'crash') return 'is killed';
	if (step.kind === 'close') return `the kernel closes its descriptor ${step.descriptor}`;
	const {name: called = 'ended', parameters = []} = locals[step.pid]?.place.call ?? {};
	return `${called}(${parameters.map(show).join(', ')})`;
}

function describeAnswer({answer, window}: Outcome): string {
	const noted = window === undefined ? '' : `   (window: ${window})`;
	if (answer === undefined) return noted;
	return ` → ${'code' in answer ? answer.code : show(answer.value)}${noted}`;
}

function show(value: unknown): string {
	if (typeof value === 'object' && value !== null && 'ino' in value) {
		const {type, ino, nlink, size} = value as Readonly<Record<string, unknown>>;
		return `${type} #${ino}, links ${nlink}, size ${size}`;
	}
	return JSON.stringify(value) ?? 'nothing';
}
