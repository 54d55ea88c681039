/**
 * The values on a command line that several commands take: addresses and durations.
 */
import {parseAddress} from '../kernel/address-parser.js';
import type {Address} from '../model/address.js';
import {UsageError} from './failures.js';

/** Returns an ADDRESS as the library spells it: `@name` is abstract, as for ss(8) and systemd; `./@name` is a path. */
export function addressArgument(text: string): string {
	return text.startsWith('@') ? `unix:${text}` : text;
}

/**
 * Parses an ADDRESS.
 *
 * @throws BindLockError if it is not valid
 */
export function parseAddressArgument(text: string): Address {
	return parseAddress(addressArgument(text));
}

/**
 * Parses the value of `--timeout`.
 *
 * @returns milliseconds; without a value, no limit
 */
export function parseTimeout(text: string | undefined): number {
	return parseDuration('timeout', text ?? 'forever');
}

const units = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000} as const;

/**
 * Parses a DURATION: `500ms`, `30s`, `5m`, `forever`.
 *
 * @param option the name of its option, for the error
 * @returns milliseconds
 * @throws UsageError
 */
export function parseDuration(option: string, text: string): number {
	if (text === 'forever') return Number.POSITIVE_INFINITY;
	const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
	if (number === undefined) {
		throw new UsageError(`--${option}: ${JSON.stringify(text)} is not a duration; write for example 500ms, 30s or 5m`);
	}
	return Number(number) * units[unit as keyof typeof units];
}
