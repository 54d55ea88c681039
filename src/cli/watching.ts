/**
 * Looking again and again, without wearing out what is looked at.
 */
import type {Inspection} from '../inspect.js';
import {isAskedByConnecting} from '../system/listening.js';
import {parseArgument} from './addresses.js';

/** A server that can only be asked by connecting to it is asked this seldom. */
export const seldomMs = 5000;

/** Whether that state was found out by a connection which a living server has answered. */
export async function answeredConnection(address: string, {state, holder}: Inspection): Promise<boolean> {
	return state === 'foreign' && holder === undefined && (await isAskedByConnecting(parseArgument(address)));
}
