/**
 * The kernel's view of an address: how many servers listen, and whether a client reaches one.
 */
import {existsSync} from 'node:fs';
import {listeners} from '../../test/helpers/detectors.js';

export interface Sighting {
	readonly servers: number;
	readonly socketThere: boolean;
}

export function look(address: string): Sighting {
	return {servers: listeners(address), socketThere: existsSync(address)};
}
