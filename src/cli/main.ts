#!/usr/bin/env node
/**
 * The command `bindlock`: reads the command line, and loads only what that needs.
 */
import {parseRun, splitRun} from './arguments.js';
import {exit, hint, report, UsageError} from './failures.js';
import {writeMessage} from './output.js';

type Subcommand = (operands: readonly string[], options: Readonly<Record<string, unknown>>) => Promise<number>;

const loaders: Readonly<Record<string, () => Promise<{default: unknown}>>> = {
	run: () => import('./run/run.js'),
	status: () => import('./status.js'),
	list: () => import('./list/list.js'),
	wait: () => import('./wait.js'),
	reclaim: () => import('./reclaim.js'),
	doctor: () => import('./doctor/doctor.js'),
	completion: () => import('./completion.js'),
	man: () => import('./man.js'),
};

void main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<void> {
	const [name, ...rest] = args;
	const words = name === 'run' ? splitRun(rest) : rest;
	let status: number;
	try {
		status = await execute(name, words);
	} catch (error) {
		status = report(error, optionsIn(words).includes('--json'));
		if (error instanceof UsageError) writeMessage(hint(name));
	}
	// Not process.exit(): a failed write to standard output is reported a moment later.
	process.exitCode = status;
	if (name === 'run') process.exit();
}

async function execute(name: string | undefined, words: readonly string[]): Promise<number> {
	const simple = name === 'run' ? parseRun(words) : undefined;
	if (simple !== undefined) return subcommand('run', simple.operands, {...simple.options});
	const {parse} = await import('./program.js');
	let status: number = exit.done;
	const answered = await parse(name === undefined ? [] : [name, ...words], async (...parameters) => {
		status = await subcommand(...parameters);
	});
	return answered || status;
}

async function subcommand(
	name: string,
	operands: readonly string[],
	options: Readonly<Record<string, unknown>>,
): Promise<number> {
	const load = loaders[name] as NonNullable<(typeof loaders)[string]>;
	return ((await load()).default as Subcommand)(operands, options);
}

function optionsIn(words: readonly string[]): readonly string[] {
	const end = words.indexOf('--');
	return end === -1 ? words : words.slice(0, end);
}
