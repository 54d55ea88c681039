/**
 * The form in which each command describes itself, and the texts that several commands share. The
 * parser, the help, the manual page and the shell completions are made from these descriptions.
 */

/** What a word of the command line stands for, so that a shell can complete it. */
export type ValueKind = 'address' | 'directory' | 'command' | 'duration' | 'signal' | 'text' | readonly string[];

interface ArgumentDefinition {
	/** As commander has it: `<ADDRESS>`, `[ADDRESS]`, `<ADDRESS...>`. */
	readonly syntax: string;
	readonly kind: ValueKind;
}

export interface OptionDefinition {
	/** Without the dashes. */
	readonly name: string;
	/** One letter, without the dash. */
	readonly short?: string;
	readonly value?: {
		readonly name: string;
		readonly kind: ValueKind;
		/** The value if none is given. An option that has it takes a value after `=` only. */
		readonly bare?: string;
	};
	readonly description: string;
	/** Whether it can be given several times. Its value is then an array. */
	readonly repeatable?: true;
}

/** Returns the name of an option in the parsed options, as commander has it. */
export function optionKey(name: string): string {
	return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

export interface CommandDefinition {
	readonly name: string;
	/** The synopsis without the name. */
	readonly synopsis: string;
	readonly summary: string;
	/** Paragraphs. */
	readonly description?: readonly string[];
	readonly arguments: readonly ArgumentDefinition[];
	/** Besides {@link commonOptions}. */
	readonly options: readonly OptionDefinition[];
	/** The fields of each line of `--json`; absent if the command prints no data. */
	readonly fields?: Readonly<Record<string, string>>;
	/** The meaning of its exit statuses, besides or instead of the common ones. */
	readonly exits?: Readonly<Record<string, string>>;
	readonly examples: readonly {readonly line: string; readonly what: string}[];
}

export const programSummary: string =
	'Locks the address of a Unix domain socket for the lifetime of its server, reports who holds it, and removes the socket file of a crashed server.';

/** Options of every command. */
export const commonOptions: readonly OptionDefinition[] = [
	{name: 'json', description: 'print one JSON object a line: data on standard output, messages on standard error'},
];

/** An option of `run` and `reclaim`. */
export const reclaimForeignOption: OptionDefinition = {
	name: 'reclaim-foreign',
	description:
		'also remove a stale socket of another user, if the permissions of the directory allow it. Risk: a live server of that user looks stale if it takes no lock, runs in another network namespace, and is bound but not listening yet',
};

/** The description of a field of `status` and `wait`. */
export const holderField: string =
	'the process that holds the lock or is bound, if known: {pid, uid, command, since, label, host, verified}; command is the program and its script, without further arguments; verified is true if /proc confirms the holder, false if only the record in the lock file names it; host is absent if it is this host';

export const addressText: string =
	'An ADDRESS is a path (/run/app.sock, app.sock, unix:///run/app.sock) or an abstract name (@app, unix:@app, unix-abstract:app). Write ./@name for a file whose name begins with @.';

export const durationText: string =
	'A DURATION is a number with the unit ms, s, m, h or d (500ms, 30s, 1.5m). Without a unit it is in seconds, as for timeout(1).';
