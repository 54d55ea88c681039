/**
 * Environment variables, which Deno lets a program read only with a permission.
 */
import {attempt} from '../../model/attempt.js';

/** Returns a variable of the environment; `undefined` also if it may not be read, because then it was not set for us. */
export function variable(name: string): string | undefined {
	return attempt(() => process.env[name]);
}

/** Returns the variables that may be read, for a child. */
export function variables(): NodeJS.ProcessEnv {
	return attempt(() => ({...process.env})) ?? {};
}
