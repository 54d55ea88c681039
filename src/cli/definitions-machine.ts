/**
 * The commands about this machine and this command itself.
 */
import type {CommandDefinition} from './definitions.js';

export const doctor: CommandDefinition = {
	name: 'doctor',
	synopsis: '[ADDRESS]',
	summary: 'check that locking works here: Node, flock, /proc, namespaces, filesystem, permissions',
	description: [
		'Prints a line for each check: ok, warning or problem, the last two with what to do. With an ADDRESS also its length, its directory and filesystem are checked. It tries a lock and a bind there with files of its own, which it removes.',
	],
	arguments: [{name: 'ADDRESS', kind: 'address', required: false, variadic: false}],
	options: [],
	fields: {
		level: '"ok", "warning" or "problem"',
		check: 'what was checked',
		message: 'what was found',
		remedy: 'what to do; absent if ok',
	},
	exits: {'71': 'there is a problem'},
	examples: [{line: 'bindlock doctor /run/app/app.sock', what: 'before the first start'}],
};

export const completion: CommandDefinition = {
	name: 'completion',
	synopsis: 'SHELL',
	summary: 'print the completions for bash, zsh or fish',
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

export const man: CommandDefinition = {
	name: 'man',
	synopsis: '',
	summary: 'print the manual page',
	description: [],
	arguments: [],
	options: [],
	fields: {},
	exits: {},
	examples: [{line: 'bindlock man | man -l -', what: 'read it'}],
};
