/**
 * The command line of `bindlock run`, in which the options of bindlock end and a second command
 * begins, as with env(1) and timeout(1). commander cannot tell where that is.
 */

import {commonOptions, optionKey} from '../definition.js';
import {UsageError} from '../failures.js';
import {runDefinition} from './run-definition.js';
import type {RunOptions} from './run-options.js';

const options = [...runDefinition.options, ...commonOptions];
const optionsByFlag = new Map(options.map(option => [`--${option.name}`, option]));
const flagsByLetter = new Map(options.map(({name, short}) => [`-${short}`, `--${name}`]));

/**
 * Reorders the words: options, `--`, address unless there is `--listen`, command with its own options. `--wait` and
 * `--replace` take a value after `=` only, because the next word may be an operand.
 *
 * @throws UsageError if a duration follows `--wait`: it would be the address or the command; if `--listen` follows an
 * address
 */
export function splitRun(args: readonly string[]): string[] {
	const options: string[] = [];
	const operands: string[] = [];
	let beforeCommand = 1;
	let at = 0;
	for (; at < args.length && operands.length <= beforeCommand; at++) {
		const word = flagsByLetter.get(args[at] ?? '') ?? args[at] ?? '';
		if (word === '--') {
			at++;
			break;
		}
		if (!word.startsWith('-') || word === '-') {
			operands.push(word);
			continue;
		}
		const value = optionsByFlag.get(word)?.value;
		const next = args[at + 1];
		if (/^--listen(=|$)/.test(word)) {
			if (operands.length > 0) throw new UsageError('--listen takes the place of ADDRESS, and comes before COMMAND');
			beforeCommand = 0;
		}
		if (word === '--wait' && /^\d+(\.\d+)?(ms|s|m|h|d)?$/.test(next ?? '')) {
			throw new UsageError(`--wait takes its value after an equals sign: write --wait=${next}`);
		}
		if (value?.bare !== undefined) options.push(`${word}=${value.bare}`);
		else if (value !== undefined && next !== undefined) {
			options.push(`${word}=${next}`);
			at++;
		} else options.push(word);
	}
	return [...options, '--', ...operands, ...args.slice(at)];
}

/**
 * Parses the words without commander, whose loading would delay the start of the server.
 *
 * @param words as `splitRun` returns them
 * @returns `undefined` for anything that commander has to answer: `--help` and wrong options
 */
export function parseRun(words: readonly string[]): {operands: readonly string[]; options: RunOptions} | undefined {
	const end = words.indexOf('--');
	const options: Record<string, string | true | string[]> = {};
	for (const word of words.slice(0, end)) {
		const [, flag = '', value] = /^(--[^=]+)(?:=(.*))?$/s.exec(word) ?? [];
		const definition = optionsByFlag.get(flag);
		if (definition === undefined || (definition.value === undefined) !== (value === undefined)) return undefined;
		const kind = definition.value?.kind;
		if (typeof kind === 'object' && !kind.includes(value ?? '')) return undefined;
		const name = optionKey(definition.name);
		if (definition.repeatable) options[name] = [...((options[name] as string[] | undefined) ?? []), value ?? ''];
		else options[name] = value ?? true;
	}
	return {operands: words.slice(end + 1), options};
}
