/**
 * `bindlock completion`: prints the completions of a shell, made from the definitions of the commands.
 */
import {commands} from './commands.js';
import {type CommandDefinition, commonOptions, type OptionDefinition, type ValueKind} from './definition.js';
import {exit} from './exit-status.js';
import {writeData} from './output.js';

/** @returns the exit status */
export default async function completion([shell = '']: readonly string[]): Promise<number> {
	writeData(scripts[shell]?.() ?? '');
	return exit.done;
}

const names = commands.map(({name}) => name);

/** zsh runs bash completions by its own bashcompinit. */
const scripts: Readonly<Record<string, () => string>> = {
	bash: bashScript,
	zsh: () => `autoload -U +X bashcompinit && bashcompinit\n${bashScript()}`,
	fish: fishScript,
};

function bashScript(): string {
	return `# bash completion of bindlock
_bindlock() {
	local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} at
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "${names.join(' ')} help --help --version" -- "$word"))
		return
	fi
	if [ "$command" = run ]; then
		for ((at = 2; at < COMP_CWORD; at++)); do
			if [ "\${COMP_WORDS[at]}" = -- ]; then
				if [ "$at" -eq $((COMP_CWORD - 1)) ]; then COMPREPLY=($(compgen -c -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi
				return
			fi
		done
	fi
	case "$command $before" in
${commands.flatMap(bashValues).join('\n')}
	esac
	case "$command" in
${commands.map(bashCommand).join('\n')}
	help) COMPREPLY=($(compgen -W "${names.join(' ')}" -- "$word")) ;;
	esac
}
complete -o filenames -F _bindlock bindlock
`;
}

/** Returns the cases that complete the value of an option, for options whose value is the next word. */
function bashValues({name, options}: CommandDefinition): string[] {
	const valued = options.filter(option => option.value !== undefined && option.value.bare === undefined);
	return valued.map(option => {
		const words = wordsOf(option.value?.kind ?? 'text');
		const reply = words.length === 0 ? '' : `COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$word")); `;
		const short = option.short === undefined ? '' : ` | "${name} -${option.short}"`;
		return `\t"${name} --${option.name}"${short}) ${reply}return ;;`;
	});
}

function bashCommand(definition: CommandDefinition): string {
	const flags = optionsOf(definition).map(
		({name, value}) => `--${name}${value?.bare ? ` --${name}=${value.bare}` : ''}`,
	);
	const kind = definition.arguments[0]?.kind;
	const files =
		kind === 'address' ? '$(compgen -f -- "$word")' : kind === 'directory' ? '$(compgen -d -- "$word")' : '';
	const operands =
		kind === undefined || typeof kind === 'string' ? files : `$(compgen -W "${kind.join(' ')}" -- "$word")`;
	return `\t${definition.name})
		if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "${flags.join(' ')} --help" -- "$word"))
		else COMPREPLY=(${operands}); fi ;;`;
}

function fishScript(): string {
	const lines = ['# fish completion of bindlock', 'complete -c bindlock -f'];
	for (const {name, summary} of commands) {
		lines.push(`complete -c bindlock -n __fish_use_subcommand -a ${name} -d ${fishQuoted(summary)}`);
	}
	for (const definition of commands) {
		const when = `-n '__fish_seen_subcommand_from ${definition.name}'`;
		for (const option of optionsOf(definition)) lines.push(`complete -c bindlock ${when} ${fishOption(option)}`);
		const kind = definition.arguments[0]?.kind;
		if (kind === 'address') lines.push(`complete -c bindlock ${when} -F`);
		else if (kind === 'directory') lines.push(`complete -c bindlock ${when} -a '(__fish_complete_directories)'`);
		else if (kind !== undefined && typeof kind !== 'string') {
			lines.push(`complete -c bindlock ${when} -a '${kind.join(' ')}'`);
		}
	}
	return `${lines.join('\n')}\n`;
}

function fishOption({name, short, value, description}: OptionDefinition): string {
	const words = wordsOf(value?.kind ?? 'text');
	const takes =
		value === undefined || value.bare !== undefined ? '' : ` -x${words.length > 0 ? ` -a '${words.join(' ')}'` : ''}`;
	return `${short === undefined ? '' : `-s ${short} `}-l ${name}${takes} -d ${fishQuoted(description)}`;
}

function fishQuoted(text: string): string {
	return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function optionsOf({options}: CommandDefinition): readonly OptionDefinition[] {
	return [...options, ...commonOptions];
}

function wordsOf(kind: ValueKind): readonly string[] {
	return typeof kind === 'string' ? [] : kind;
}
