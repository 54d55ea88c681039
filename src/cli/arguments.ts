/**
 * The command line of `bindlock run`, where options end and another command begins, as with env(1)
 * and timeout(1).
 */
import {run} from './definitions-taking.js';
import type {RunOptions} from './run/run.js';

const definitions = new Map(
	[...run.options, {name: 'json', value: undefined}].map(option => [`--${option.name}`, option]),
);

/**
 * Puts the options first, and `--` before the address and the command, whose own options are then
 * left alone. `--wait` and `--replace` take a value after `=` only: what follows them is an operand.
 */
export function splitRun(args: readonly string[]): string[] {
	const options: string[] = [];
	const operands: string[] = [];
	let at = 0;
	for (; at < args.length && operands.length < 2; at++) {
		const word = args[at] ?? '';
		if (word === '--') {
			at++;
			break;
		}
		if (!word.startsWith('-') || word === '-') {
			operands.push(word);
			continue;
		}
		const value = definitions.get(word)?.value;
		const next = args[at + 1];
		if (value?.bare !== undefined) options.push(`${word}=${value.bare}`);
		else if (value !== undefined && next !== undefined) {
			options.push(`${word}=${next}`);
			at++;
		} else options.push(word);
	}
	return [...options, '--', ...operands, ...args.slice(at)];
}

/**
 * A server's start need not wait for a parser that knows all commands.
 *
 * @param words as `splitRun` gives them
 * @returns `undefined` for what is to be left to that parser: help, mistakes
 */
export function parseRun(words: readonly string[]): {operands: readonly string[]; options: RunOptions} | undefined {
	const end = words.indexOf('--');
	const options: Record<string, string | true> = {};
	for (const word of words.slice(0, end)) {
		const [, name = '', value] = /^(--[^=]+)(?:=(.*))?$/s.exec(word) ?? [];
		const definition = definitions.get(name);
		if (definition === undefined || (definition.value === undefined) !== (value === undefined)) return undefined;
		options[camelCase(definition.name)] = value ?? true;
	}
	return {operands: words.slice(end + 1), options};
}

/** As commander names what it has read. */
function camelCase(name: string): string {
	return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
