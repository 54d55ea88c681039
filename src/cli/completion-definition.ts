/**
 * The description of `bindlock completion`.
 */
import type {CommandDefinition} from './definition.js';

export const completionDefinition: CommandDefinition = {
	name: 'completion',
	synopsis: 'SHELL',
	summary: 'print completions for bash, zsh or fish',
	description: [],
	arguments: [{name: 'SHELL', kind: ['bash', 'zsh', 'fish'], required: true, variadic: false}],
	options: [],
	fields: {},
	exits: {},
	examples: [
		{line: 'eval "$(bindlock completion bash)"', what: 'in ~/.bashrc'},
		{line: 'eval "$(bindlock completion zsh)"', what: 'in ~/.zshrc, after compinit'},
		{line: 'bindlock completion fish > ~/.config/fish/completions/bindlock.fish', what: 'for fish'},
	],
};
