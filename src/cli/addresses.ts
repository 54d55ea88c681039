/**
 * Addresses as they are written on a command line.
 */

import {parseAddress} from '../kernel/address-parser.js';
import type {Address} from '../model/address.js';

/** `@name` is abstract here, as it is to ss(8) and systemd; `./@name` is a path. */
export function addressArgument(text: string): string {
	return text.startsWith('@') ? `unix:${text}` : text;
}

/** @throws BindLockError for an address that cannot be one */
export function parseArgument(text: string): Address {
	return parseAddress(addressArgument(text));
}
