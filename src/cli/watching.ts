/**
 * Looking again and again, without wearing out what is looked at.
 */
import type {Inspection} from '../api/inspect.js';
import {parseArgument} from './addresses.js';
import {isAskedByConnecting} from './readiness.js';

/** A server that can only be asked by connecting to it is asked this seldom. */
export const seldomMs = 5000;

/** Whether that state was found out by a connection which a living server has answered. */
export async function answeredConnection(address: string, {state, holder}: Inspection): Promise<boolean> {
	return state === 'foreign' && holder === undefined && (await isAskedByConnecting(parseArgument(address)));
}
