/**
 * The parser and the help of all commands: a commander program made from their definitions.
 */
import {Argument, Command, CommanderError, Option} from 'commander';
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
import {UsageError} from './failures.js';
import {writeData, writeMessage} from './output.js';
import {packageVersion} from './version.js';

/** A subcommand with its operands and options. */
interface Invocation {
	readonly name: string;
	readonly operands: readonly string[];
	/** By their names in camel case. */
	readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Parses a command line, and prints the help or the version if it asks for them.
 *
 * @returns the subcommand to run, or the exit status if there is none
 * @throws UsageError
 */
export function parse(words: readonly string[]): Invocation | number {
	let invocation: Invocation | undefined;
	try {
		newProgram(found => {
			invocation = found;
		}).parse(words, {from: 'user'});
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		if (error.exitCode === 0) return exit.done;
		// Without a subcommand commander has printed the help to standard error.
		if (error.code === 'commander.help') return exit.usage;
		// Only the newline before a suggestion is commander's. Others are part of the quoted words.
		throw new UsageError(error.message.replace(/^error: /, '').replace(/\n(?=\(Did you mean [^\n]*\)$)/, ' '));
	}
	return invocation ?? exit.done;
}

function newProgram(onInvocation: (invocation: Invocation) => void): Command {
	const program = new Command('bindlock')
		.description(programSummary)
		.option('-V, --version', 'print the version')
		.helpOption('-h, --help', 'print this help')
		.helpCommand('help [COMMAND]', 'print the help of a command')
		.exitOverride()
		.configureOutput({
			writeOut: writeData,
			writeErr: text => writeMessage(...text.trimEnd().split('\n')),
			outputError: () => {},
		})
		.configureHelp({
			// An optional value is given after an equals sign only.
			optionTerm: ({flags}) => flags.replace(/ \[(\w+)\]$/, '[=$1]').replace(/ <(\w+)>$/, ' $1'),
			subcommandTerm: command => command.name(),
		})
		.addHelpText('after', `\n${addressText}\n${durationText}\n`);
	program.on('option:version', () => {
		writeData(`${packageVersion()}\n`);
		throw new CommanderError(0, 'bindlock.version', '');
	});
	for (const definition of commands) {
		const command = newCommand(program.command(definition.name), definition);
		command.action(() => onInvocation({name: definition.name, operands: command.args, options: command.opts()}));
	}
	return program;
}

function newCommand(command: Command, definition: CommandDefinition): Command {
	const {summary, synopsis, description = [], options} = definition;
	command.summary(summary).description([summary, ...description].join('\n\n'));
	command.usage(synopsis).helpOption('-h, --help', 'print this help').allowExcessArguments(false);
	for (const {syntax, kind} of definition.arguments) {
		const argument = new Argument(syntax);
		command.addArgument(typeof kind === 'string' ? argument : argument.choices(kind));
	}
	for (const option of [...options, ...commonOptions]) command.addOption(newOption(option));
	return command.addHelpText('after', () => helpAfter(definition));
}

function newOption({name, short, value, description, repeatable}: OptionDefinition): Option {
	const flags = short === undefined ? `--${name}` : `-${short}, --${name}`;
	if (value === undefined) return new Option(flags, description);
	const option = new Option(`${flags} ${value.bare ? `[${value.name}]` : `<${value.name}>`}`, description);
	if (repeatable) option.argParser((text, others: readonly string[] = []) => [...others, text]);
	return typeof value.kind === 'string' ? option : option.choices([...value.kind]);
}

function helpAfter({exits, examples}: CommandDefinition): string {
	const codes = Object.entries({...exitCodes, ...exits}).map(([code, meaning]) => `  ${code.padEnd(6)} ${meaning}`);
	const lines = examples.map(({line, what}) => `  ${line}\n      ${what}`);
	return `\nExit status:\n${codes.join('\n')}\n\nExamples:\n${lines.join('\n')}`;
}
