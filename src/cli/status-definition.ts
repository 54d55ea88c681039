/**
 * The description of `bindlock status`.
 */
import {type CommandDefinition, holderField} from './definition.js';

export const statusDefinition: CommandDefinition = {
	name: 'status',
	synopsis: '[--watch] ADDRESS...',
	summary: 'print whether an address is free, stale, held, foreign or blocked, and who holds it',
	description: [
		'free: nothing exists at the address. stale: a socket file to which no process is bound; the next server that uses bindlock removes it. held: a process holds the lock. foreign: a server that takes no lock is bound to the address. blocked: the address cannot be used; the output gives the reason and a remedy.',
		'status takes no lock. It connects to a socket file only if no visible process of this network namespace is bound to it. If the connection is refused, it sets the change time (ctime) of the socket file, and modifies nothing else.',
	],
	arguments: [{syntax: '<ADDRESS...>', kind: 'address'}],
	options: [{name: 'watch', description: 'keep running and print each change, until interrupted'}],
	fields: {
		address: 'the address as given',
		state: '"free", "stale", "held", "foreign" or "blocked"',
		lockPath: 'the lock file; absent for an abstract name',
		found: 'what exists at the address: "nothing", "socket", "file", "directory", "symlink" or "other"',
		holder: holderField,
		reason: 'why the address is blocked: {code, message}',
		unit: 'the .socket unit for which systemd has bound the address',
		networkNamespace: 'for an abstract name, the network namespace that it belongs to',
	},
	exits: {'0': 'every address can be bound now', '75': 'at least one address cannot be bound now'},
	examples: [
		{line: 'bindlock status /run/app.sock', what: 'see who holds an address'},
		{line: 'bindlock status --json @app | jq .holder.pid', what: 'get the pid in a script'},
		{line: 'bindlock status --watch /run/app/*.sock', what: 'watch a deployment'},
	],
};
