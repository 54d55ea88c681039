/**
 * `bindlock man`: prints the manual page, made from the definitions of the commands.
 */
import {commands} from './commands.js';
import {
	addressText,
	type CommandDefinition,
	commonOptions,
	durationText,
	type OptionDefinition,
	programSummary,
} from './definition.js';
import {exit, exitCodes} from './exit-status.js';
import {writeData} from './output.js';
import {packageVersion} from './version.js';

/** @returns the exit status */
export default async function man(): Promise<number> {
	writeData(manualPage(packageVersion()));
	return exit.done;
}

export function manualPage(version: string): string {
	return [
		`.TH BINDLOCK 1 "" "bindlock ${version}" "User Commands"`,
		'.SH NAME',
		'bindlock \\- lock the address of a Unix domain socket for the lifetime of its server',
		'.SH SYNOPSIS',
		...commands.flatMap(synopsis),
		'.SH DESCRIPTION',
		roffText(programSummary),
		'.PP',
		roffText(addressText),
		'.PP',
		roffText(durationText),
		'.PP',
		'bindlock prints data to standard output and messages to standard error.',
		'.SH COMMANDS',
		...commands.flatMap(section),
		'.SH OPTIONS OF EVERY COMMAND',
		...commonOptions.flatMap(option),
		'.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint a help text',
		'.TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nprint the version',
		'.SH EXIT STATUS',
		...Object.entries(exitCodes).flatMap(pair),
		'.SH ENVIRONMENT',
		...Object.entries(environment).flatMap(pair),
		'.SH FILES',
		...pair(['ADDRESS.lock', 'the lock file; its first line is the pid of the holder while it is locked']),
		'.SH SEE ALSO',
		'\\fBflock\\fR(1), \\fBss\\fR(8), \\fBflock\\fR(2), \\fBunix\\fR(7)',
		'',
	].join('\n');
}

const environment: Readonly<Record<string, string>> = {
	BINDLOCK_FLOCK:
		'forces how flock(2) is called: "addon" by the addon fs-ext, "ffi" by the foreign function interface of Bun, Deno or Node 26, "koffi" by the package koffi, "command" by flock(1). The default is the first of them that works',
	NO_COLOR: 'if set and not empty, no colours',
};

function synopsis({name, synopsis: rest}: CommandDefinition): string[] {
	return [`.B bindlock ${name}`, roffText(rest), '.br'];
}

function section({
	name,
	synopsis: rest,
	summary,
	description = [],
	options,
	fields = {},
	exits = {},
	examples,
}: CommandDefinition): string[] {
	const lines = [
		`.SS ${roffQuoted(`bindlock ${name} ${rest}`.trim())}`,
		roffText(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`),
	];
	for (const paragraph of description) lines.push('.PP', roffText(paragraph));
	lines.push(...options.flatMap(option));
	if (Object.keys(fields).length > 0) lines.push('.PP', 'With \\fB\\-\\-json\\fR, the fields of each line:');
	lines.push(...Object.entries(fields).flatMap(pair));
	if (Object.keys(exits).length > 0) lines.push('.PP', 'Exit status:');
	lines.push(...Object.entries(exits).flatMap(pair));
	if (examples.length > 0) lines.push('.PP', 'Examples:');
	for (const {line, what} of examples)
		lines.push('.PP', roffText(`${what}:`), '.RS', '.nf', roffText(line), '.fi', '.RE');
	return lines;
}

function option({name, short, value, description}: OptionDefinition): string[] {
	const shown = value === undefined ? '' : value.bare ? `[=\\fI${value.name}\\fR]` : ` \\fI${value.name}\\fR`;
	const letter = short === undefined ? '' : `\\fB\\-${short}\\fR, `;
	return ['.TP', `${letter}\\fB\\-\\-${roffText(name)}\\fR${shown}`, roffText(description)];
}

function pair([name, meaning]: readonly [string, string]): string[] {
	return ['.TP', `\\fB${roffText(name)}\\fR`, roffText(meaning)];
}

/** Escapes a text: a dot or apostrophe at the start of a line is a request, and a plain dash is a hyphen. */
function roffText(plain: string): string {
	return plain
		.replaceAll('\\', '\\e')
		.replaceAll('-', '\\-')
		.replace(/^(?=[.'])/, '\\&');
}

function roffQuoted(plain: string): string {
	return `"${roffText(plain).replaceAll('"', '""')}"`;
}
