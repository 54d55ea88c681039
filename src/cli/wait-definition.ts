/**
 * The description of `bindlock wait`.
 */
import {type CommandDefinition, holderField} from './definition.js';

export const waitDefinition: CommandDefinition = {
	name: 'wait',
	synopsis: 'ADDRESS [--for listening|free] [--timeout DURATION]',
	summary: 'wait until a server listens, or until an address is free',
	description: [
		"For scripts and clients. wait polls the kernel's table of sockets. It connects to a socket file only if no process of this network namespace is bound to it, as for a server in another container, and closes the connection at once.",
	],
	arguments: [{syntax: '<ADDRESS>', kind: 'address'}],
	options: [
		{
			name: 'for',
			value: {name: 'WHAT', kind: ['listening', 'free']},
			description: 'listening (the default): a server accepts connections. free: the address is free or stale',
		},
		{
			name: 'timeout',
			short: 'w',
			value: {name: 'DURATION', kind: 'duration'},
			description: 'give up after this time, with exit status 75; the default is no limit',
		},
	],
	fields: {
		address: 'the address as given',
		for: '"listening" or "free"',
		reached: 'false if the time limit passed first',
		waitedMs: 'the time waited, in milliseconds',
		holder: holderField,
	},
	exits: {'75': 'the time limit has passed'},
	examples: [
		{
			line: 'bindlock wait /run/app.sock --timeout 30s && curl --unix-socket /run/app.sock http://x/',
			what: 'start a client once the server listens',
		},
		{line: 'bindlock wait /run/app.sock --for free', what: 'wait until the old server has exited'},
	],
};
