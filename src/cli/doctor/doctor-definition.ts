/**
 * The description of `bindlock doctor`.
 */
import type {CommandDefinition} from '../definition.js';

export const doctorDefinition: CommandDefinition = {
	name: 'doctor',
	synopsis: '[ADDRESS]',
	summary: 'check that locking works here: Node, flock, /proc, namespaces, filesystem, permissions',
	description: [
		'Prints one line for each check: ok, warning or problem. A warning or problem comes with a remedy. With an ADDRESS, doctor also checks its length, its directory and the filesystem, and tries a lock and a bind in that directory, with temporary files that it removes.',
	],
	arguments: [{syntax: '[ADDRESS]', kind: 'address'}],
	options: [],
	fields: {
		level: '"ok", "warning" or "problem"',
		check: 'the name of the check',
		message: 'the result',
		remedy: 'what to do; absent if ok',
	},
	exits: {'71': 'at least one check found a problem'},
	examples: [{line: 'bindlock doctor /run/app/app.sock', what: 'check before the first start'}],
};
