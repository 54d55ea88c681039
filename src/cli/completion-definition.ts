/**
 * The description of `bindlock completion`.
 */
import type {CommandDefinition} from './definition.js';

export const completionDefinition: CommandDefinition = {
	name: 'completion',
	synopsis: 'SHELL',
	summary: 'print completions for bash, zsh or fish',
	arguments: [{syntax: '<SHELL>', kind: ['bash', 'zsh', 'fish']}],
	options: [],
	examples: [
		{line: 'eval "$(bindlock completion bash)"', what: 'in ~/.bashrc'},
		{line: 'eval "$(bindlock completion zsh)"', what: 'in ~/.zshrc, after compinit'},
		{line: 'bindlock completion fish > ~/.config/fish/completions/bindlock.fish', what: 'for fish'},
	],
};
