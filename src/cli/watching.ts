/**
 * Looking again and again, without wearing out what is looked at.
 */
import type {Inspection} from '../inspect.js';
import {isAskedByConnecting} from '../system/listening.js';
import {wakeable} from '../system/timers.js';
import {parseArgument} from './addresses.js';

/** A server that can only be asked by connecting to it is asked this seldom. */
export const seldomMs = 5000;

/** Whether that state was found out by a connection which a living server has answered. */
export function answeredConnection(address: string, {state, holder}: Inspection): boolean {
	return state === 'foreign' && holder === undefined && isAskedByConnecting(parseArgument(address));
}

export function pause(milliseconds: number): Promise<boolean> {
	return wakeable(performance.now() + milliseconds, undefined, () => {});
}
