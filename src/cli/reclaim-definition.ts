/**
 * The description of `bindlock reclaim`.
 */
import {type CommandDefinition, reclaimForeignOption} from './definition.js';

export const reclaimDefinition: CommandDefinition = {
	name: 'reclaim',
	synopsis: '[--reclaim-foreign] ADDRESS...',
	summary: 'remove stale sockets',
	description: [
		'Takes the lock of each ADDRESS and removes the socket file if no process is bound to it. Anything else is left unchanged, and a message gives the reason.',
	],
	arguments: [{syntax: '<ADDRESS...>', kind: 'address'}],
	options: [reclaimForeignOption],
	fields: {
		address: 'the address as given',
		removed: 'whether a stale socket was removed',
		state: 'the state, as for status; "free" after a removal',
		holder: 'the holder, as for status',
		reason: 'why nothing was removed: {code, message}',
	},
	exits: {'0': 'every ADDRESS is free now'},
	examples: [{line: 'bindlock reclaim /run/app/*.sock', what: 'clean up after a crash'}],
};
