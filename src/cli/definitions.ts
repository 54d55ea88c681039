/**
 * What the command offers, once: its parser, its help, its manual page and its completions are all
 * made from this.
 */
import {list, status, wait} from './definitions-looking.js';
import {completion, doctor, man} from './definitions-machine.js';
import {reclaim, run} from './definitions-taking.js';

/** What may stand at a place, so that a shell can complete it. */
export type ValueKind = 'address' | 'directory' | 'command' | 'duration' | 'signal' | 'text' | readonly string[];

export interface ArgumentDefinition {
	readonly name: string;
	readonly kind: ValueKind;
	readonly required: boolean;
	readonly variadic: boolean;
}

export interface OptionDefinition {
	/** Without its dashes. */
	readonly name: string;
	readonly value?: {
		readonly name: string;
		readonly kind: ValueKind;
		/** What the option means without a value, which then is given as `--option=value` only. */
		readonly bare?: string;
	};
	readonly description: string;
}

export interface CommandDefinition {
	readonly name: string;
	/** What stands after the name in a synopsis. */
	readonly synopsis: string;
	readonly summary: string;
	/** Paragraphs. */
	readonly description: readonly string[];
	readonly arguments: readonly ArgumentDefinition[];
	readonly options: readonly OptionDefinition[];
	/** Of each line that `--json` prints; empty if there is no data. */
	readonly fields: Readonly<Record<string, string>>;
	/** Beyond those that all commands have. */
	readonly exits: Readonly<Record<string, string>>;
	readonly examples: readonly {readonly line: string; readonly what: string}[];
}

export const programSummary: string =
	'Locks the address of a Unix domain socket for the life of its server, tells who has it, and removes what a crash left.';

/** Of every command. */
export const exitCodes: Readonly<Record<string, string>> = {
	'0': 'done; for `status`: each address could be bound now',
	'64': 'the command line is wrong',
	'71': 'the system did not do what was asked: no permission, no such directory, a disk that is full',
	'75': 'taken, or not so in time: try again later',
};

/** What all commands understand. */
export const commonOptions: readonly OptionDefinition[] = [
	{name: 'json', description: 'one JSON object a line: data on standard output, messages on standard error'},
];

export const addressText: string =
	'An ADDRESS is a path (/run/app.sock, app.sock, unix:///run/app.sock) or an abstract name (@app, unix:@app, unix-abstract:app). A file whose name begins with @ is written ./@name.';

export const durationText: string =
	'A DURATION is a number with ms, s, m, h or d (500ms, 30s, 1.5m); without a unit it is seconds, as for timeout(1).';

export const definitions: readonly CommandDefinition[] = [run, status, list, wait, reclaim, doctor, completion, man];
