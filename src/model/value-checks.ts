/**
 * Checks of single values: durations, modes, numbers.
 */

/** Returns the problem of an invalid value. */
export type Check = (value: unknown) => Problem | undefined;

export interface Problem {
	readonly code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_OUT_OF_RANGE';
	readonly expected: string;
	/** The value is an object, and the text names the invalid member. */
	readonly isOfMember?: true;
}

export function duration(value: unknown): Problem | undefined {
	if (typeof value !== 'number') return wrongType('a number of milliseconds');
	return value >= 0 ? undefined : outOfRange('a number of milliseconds, 0 or more');
}

export function strings(value: unknown): Problem | undefined {
	return Array.isArray(value) && value.every(one => typeof one === 'string')
		? undefined
		: wrongType('an array of strings');
}

export function boolean(value: unknown): Problem | undefined {
	return typeof value === 'boolean' ? undefined : wrongType('a boolean');
}

export function mode(value: unknown): Problem | undefined {
	return wholeNumber(value, 0o777);
}

/**
 * Parses permissions as chmod(1) does.
 *
 * @throws RangeError
 */
export function octalMode(text: string): number {
	if (/^0?[0-7]{1,3}$/.test(text)) return Number.parseInt(text, 8);
	throw new RangeError(`${JSON.stringify(text)} is not an octal mode such as 0660`);
}

export function wholeNumber(value: unknown, most: number): Problem | undefined {
	if (typeof value !== 'number') return wrongType('a number');
	const fits = Number.isInteger(value) && value >= 0 && value <= most;
	return fits ? undefined : outOfRange(`a whole number from 0 to ${most}`);
}

export function wrongType(expected: string): Problem {
	return {code: 'ERR_INVALID_ARG_TYPE', expected};
}

export function invalid(expected: string): Problem {
	return {code: 'ERR_INVALID_ARG_VALUE', expected};
}

export function outOfRange(expected: string): Problem {
	return {code: 'ERR_OUT_OF_RANGE', expected};
}
