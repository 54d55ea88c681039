/**
 * `bindlock man`: the manual page, from the definitions.
 */

import {
	addressText,
	type CommandDefinition,
	commonOptions,
	definitions,
	durationText,
	exitCodes,
	type OptionDefinition,
	programSummary,
} from './definitions.js';
import {writeData} from './output.js';
import {packageVersion} from './version.js';

/** @returns the exit status */
export default async function man(): Promise<number> {
	writeData(manualPage(packageVersion()));
	return 0;
}

export function manualPage(version: string): string {
	return [
		`.TH BINDLOCK 1 "" "bindlock ${version}" "User Commands"`,
		'.SH NAME',
		'bindlock \\- lock the address of a Unix domain socket for the life of its server',
		'.SH SYNOPSIS',
		...definitions.flatMap(synopsis),
		'.SH DESCRIPTION',
		text(programSummary),
		'.PP',
		text(addressText),
		'.PP',
		text(durationText),
		'.PP',
		'Data goes to standard output, messages go to standard error.',
		'.SH COMMANDS',
		...definitions.flatMap(section),
		'.SH OPTIONS OF EVERY COMMAND',
		...commonOptions.flatMap(option),
		'.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint a help text',
		'.TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nprint the version',
		'.SH EXIT STATUS',
		...Object.entries(exitCodes).flatMap(pair),
		'.SH ENVIRONMENT',
		...Object.entries(environment).flatMap(pair),
		'.SH FILES',
		...pair(['ADDRESS.lock', 'the lock file; while it is locked, its first line is the pid of the holder']),
		'.SH SEE ALSO',
		'\\fBflock\\fR(1), \\fBss\\fR(8), \\fBflock\\fR(2), \\fBunix\\fR(7)',
		'',
	].join('\n');
}

const environment: Readonly<Record<string, string>> = {
	BINDLOCK_FLOCK: '"addon" or "command" forces the way in which flock(2) is called',
	NO_COLOR: 'no colours, whatever its value',
};

function synopsis({name, synopsis: rest}: CommandDefinition): string[] {
	return [`.B bindlock ${name}`, text(rest), '.br'];
}

function section({
	name,
	synopsis: rest,
	summary,
	description,
	options,
	fields,
	exits,
	examples,
}: CommandDefinition): string[] {
	const lines = [
		`.SS ${quoted(`bindlock ${name} ${rest}`.trim())}`,
		text(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`),
	];
	for (const paragraph of description) lines.push('.PP', text(paragraph));
	lines.push(...options.flatMap(option));
	if (Object.keys(fields).length > 0) lines.push('.PP', 'With \\fB\\-\\-json\\fR, the fields of each line:');
	lines.push(...Object.entries(fields).flatMap(pair));
	if (Object.keys(exits).length > 0) lines.push('.PP', 'Exit status:');
	lines.push(...Object.entries(exits).flatMap(pair));
	if (examples.length > 0) lines.push('.PP', 'Examples:');
	for (const {line, what} of examples) lines.push('.PP', text(`${what}:`), '.RS', '.nf', text(line), '.fi', '.RE');
	return lines;
}

function option({name, value, description}: OptionDefinition): string[] {
	const shown = value === undefined ? '' : value.bare ? `[=\\fI${value.name}\\fR]` : ` \\fI${value.name}\\fR`;
	return ['.TP', `\\fB\\-\\-${text(name)}\\fR${shown}`, text(description)];
}

function pair([name, meaning]: readonly [string, string]): string[] {
	return ['.TP', `\\fB${text(name)}\\fR`, text(meaning)];
}

/** A dot or an apostrophe at the start of a line would be a request; a dash alone would be a hyphen. */
function text(plain: string): string {
	return plain
		.replaceAll('\\', '\\e')
		.replaceAll('-', '\\-')
		.replace(/^(?=[.'])/, '\\&');
}

function quoted(plain: string): string {
	return `"${text(plain).replaceAll('"', '""')}"`;
}
