/**
 * The description of `bindlock reload`.
 */
import type {CommandDefinition} from './definition.js';

export const reloadDefinition: CommandDefinition = {
	name: 'reload',
	synopsis: 'ADDRESS [--timeout DURATION]',
	summary: 'start the command of bindlock run --listen anew, and wait until the new process serves',
	description: [
		'Sends SIGHUP to the bindlock run --listen that holds ADDRESS, and returns when the new process is ready, or has failed. If it fails, the old process continues.',
	],
	arguments: [{syntax: '<ADDRESS>', kind: 'address'}],
	options: [
		{
			name: 'timeout',
			short: 'w',
			value: {name: 'DURATION', kind: 'duration'},
			description:
				'return after this time, with exit status 75, while the reload continues; the default is no limit: --start-timeout of bindlock run limits it',
		},
	],
	fields: {
		address: 'the address as given',
		reloaded: 'whether the new process serves',
		pid: 'the process that serves',
		error: 'why the new process does not serve',
	},
	exits: {
		'1': 'the new process has failed, and the old one continues',
		'69': 'no bindlock run --listen holds ADDRESS',
	},
	examples: [{line: 'bindlock reload /run/app.sock', what: 'for example as ExecReload= of a systemd unit'}],
};
