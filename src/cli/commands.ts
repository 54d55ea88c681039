/**
 * The descriptions of all commands, in the order of the help.
 */
import {completionDefinition} from './completion-definition.js';
import type {CommandDefinition} from './definition.js';
import {doctorDefinition} from './doctor/doctor-definition.js';
import {listDefinition} from './list/list-definition.js';
import {manDefinition} from './man-definition.js';
import {reclaimDefinition} from './reclaim-definition.js';
import {reloadDefinition} from './reload-definition.js';
import {runDefinition} from './run/run-definition.js';
import {statusDefinition} from './status-definition.js';
import {waitDefinition} from './wait-definition.js';

export const commands: readonly CommandDefinition[] = [
	runDefinition,
	reloadDefinition,
	statusDefinition,
	listDefinition,
	waitDefinition,
	reclaimDefinition,
	doctorDefinition,
	completionDefinition,
	manDefinition,
];
