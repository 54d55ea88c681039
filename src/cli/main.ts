#!/usr/bin/env node
/**
 * The entry point of the command `bindlock`. It loads only the subcommand that is called, and for a
 * plain `bindlock run` no parser, so that a server starts without delay.
 */
import {report, UsageError} from './failures.js';
import {writeMessage} from './output.js';
import {endOnSignals} from './process-one.js';
import {parseRun, splitRun} from './run/run-arguments.js';

/** Runs a subcommand. @returns the exit status */
type Subcommand = (operands: readonly string[], options: never) => Promise<number>;

const loaders: Readonly<Record<string, () => Promise<{readonly default: Subcommand}>>> = {
	run: () => import('./run/run.js'),
	status: () => import('./status.js'),
	list: () => import('./list/list.js'),
	reload: () => import('./reload.js'),
	wait: () => import('./wait.js'),
	reclaim: () => import('./reclaim.js'),
	doctor: () => import('./doctor/doctor.js'),
	completion: () => import('./completion.js'),
	man: () => import('./man.js'),
};

void main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<void> {
	const [name, ...rest] = args;
	let words: readonly string[] = rest;
	let status: number;
	try {
		if (name === 'run') words = splitRun(rest);
		else endOnSignals();
		status = await execute(name, words);
	} catch (error) {
		const json = optionWords(words).includes('--json');
		status = report(error, json);
		if (error instanceof UsageError && !json) writeMessage(hint(name));
	}
	// Not process.exit(): an error of standard output is reported asynchronously.
	process.exitCode = status;
	if (name === 'run') process.exit();
}

async function execute(name: string | undefined, words: readonly string[]): Promise<number> {
	const plainRun = name === 'run' ? parseRun(words) : undefined;
	const invocation =
		plainRun === undefined
			? (await import('./program.js')).parse(name === undefined ? [] : [name, ...words])
			: {name: 'run', ...plainRun};
	if (typeof invocation === 'number') return invocation;
	const load = loaders[invocation.name] as NonNullable<(typeof loaders)[string]>;
	const {default: subcommand} = await load();
	return subcommand(invocation.operands, invocation.options as never);
}

function optionWords(words: readonly string[]): readonly string[] {
	const end = words.indexOf('--');
	return end === -1 ? words : words.slice(0, end);
}

function hint(name = ''): string {
	return `Try 'bindlock ${Object.hasOwn(loaders, name) ? `${name} ` : ''}--help' for more.`;
}
