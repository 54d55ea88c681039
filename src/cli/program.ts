/**
 * The command line as commander reads it, made from the definitions.
 */
import {Command, CommanderError, Option} from 'commander';
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
import {exit, hint} from './failures.js';
import {writeData, writeMessage} from './output.js';
import {packageVersion} from './version.js';

/** Runs `action` for the subcommand that is named. @returns the exit status for what commander answers by itself */
export async function parse(words: readonly string[], action: Action): Promise<number> {
	try {
		await newProgram(action).parseAsync(words, {from: 'user'});
		return exit.done;
	} catch (error) {
		// It has been said already; help and version are no failure.
		if (error instanceof CommanderError) return error.exitCode === 0 ? exit.done : exit.usage;
		throw error;
	}
}

type Action = (name: string, operands: readonly string[], options: Readonly<Record<string, unknown>>) => Promise<void>;

function newProgram(action: Action): Command {
	const program = new Command('bindlock')
		.description(programSummary)
		.option('-V, --version', 'print the version')
		.helpOption('-h, --help', 'print this help')
		.helpCommand('help [COMMAND]', 'print the help of a command')
		.exitOverride()
		.configureOutput({
			writeOut: writeData,
			writeErr: text => writeMessage(...text.trimEnd().split('\n')),
			// The words it quotes may have newlines; a newline of its own is only before a suggestion at the end.
			outputError: text =>
				writeMessage(
					text
						.trimEnd()
						.replace(/^error: /, 'bindlock: ')
						.replace(/\n(?=\(Did you mean [^\n]*\)$)/, ' '),
					hint(process.argv[2]),
				),
		})
		.configureHelp({
			// A value that may be absent is given after an equals sign only.
			optionTerm: ({flags}) => flags.replace(/ \[(\w+)\]$/, '[=$1]').replace(/ <(\w+)>$/, ' $1'),
			subcommandTerm: command => command.name(),
		})
		.addHelpText('after', `\n${addressText}\n${durationText}\n`);
	program.on('option:version', () => {
		writeData(`${packageVersion()}\n`);
		throw new CommanderError(0, 'bindlock.version', '');
	});
	for (const definition of definitions) {
		const command = newCommand(program.command(definition.name), definition);
		command.action(() => action(definition.name, command.args, command.opts()));
	}
	return program;
}

function newCommand(command: Command, definition: CommandDefinition): Command {
	command.summary(definition.summary).description([definition.summary, ...definition.description].join('\n\n'));
	command.usage(definition.synopsis).helpOption('-h, --help', 'print this help').allowExcessArguments(false);
	for (const {name, required, variadic} of definition.arguments) {
		const text = variadic ? `${name}...` : name;
		command.argument(required ? `<${text}>` : `[${text}]`);
	}
	for (const option of [...definition.options, ...commonOptions]) command.addOption(newOption(option));
	return command.addHelpText('after', () => helpAfter(definition));
}

function newOption({name, value, description}: OptionDefinition): Option {
	if (value === undefined) return new Option(`--${name}`, description);
	const option = new Option(`--${name} ${value.bare ? `[${value.name}]` : `<${value.name}>`}`, description);
	return typeof value.kind === 'string' ? option : option.choices([...value.kind]);
}

function helpAfter({exits, examples}: CommandDefinition): string {
	const codes = Object.entries({...exitCodes, ...exits}).map(([code, meaning]) => `  ${code.padEnd(6)} ${meaning}`);
	const lines = examples.map(({line, what}) => `  ${line}\n      ${what}`);
	return `\nExit status:\n${codes.join('\n')}\n\nExamples:\n${lines.join('\n')}`;
}
