/**
 * The description of `bindlock man`.
 */
import type {CommandDefinition} from './definition.js';

export const manDefinition: CommandDefinition = {
	name: 'man',
	synopsis: '',
	summary: 'print the manual page',
	arguments: [],
	options: [],
	examples: [{line: 'bindlock man | man -l -', what: 'read the manual page'}],
};
