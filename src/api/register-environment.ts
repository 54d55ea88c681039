/**
 * The options of `bindlock/register` in the environment.
 */

import {BindLockError} from '../model/errors.js';
import {checkRegisterOptions} from '../model/option-checks.js';
import type {RegisterOptions} from '../model/options.js';
import {octalMode} from '../model/value-checks.js';

type Reader = (text: string) => Partial<Record<keyof RegisterOptions, unknown>>;

const readers: Readonly<Record<string, Reader>> = {
	BINDLOCK_WAIT_MS: text => ({waitMs: milliseconds(text)}),
	BINDLOCK_DRAIN_MS: text => ({drainMs: milliseconds(text)}),
	BINDLOCK_REPLACE: text => ({replace: text === '1' ? {} : {killSignal: text}}),
	BINDLOCK_LABEL: label => ({label}),
	BINDLOCK_BACKEND: backend => ({backend}),
	BINDLOCK_HEAL: text => ({heal: flag(text)}),
	BINDLOCK_LOCK_FILE_MODE: text => ({lockFileMode: octalMode(text)}),
	BINDLOCK_RECLAIM_FOREIGN: text => ({reclaimForeign: flag(text)}),
	BINDLOCK_EXCLUDE: text => ({exclude: new RegExp(text)}),
};

function milliseconds(text: string): number {
	return text.trim() === '' ? Number.NaN : Number(text);
}

/** Returns other values unchanged, for the check to refuse. */
function flag(text: string): boolean | string {
	return {'0': false, '1': true}[text] ?? text;
}

/** @throws BindLockError `ERR_INVALID_ARG_VALUE` with the name of the variable */
export function optionsOfEnvironment(environment: NodeJS.ProcessEnv): RegisterOptions {
	let options: RegisterOptions = {};
	for (const [name, read] of Object.entries(readers)) {
		const text = environment[name];
		if (text === undefined || text === '') continue;
		try {
			options = {...options, ...checkRegisterOptions(read(text))};
		} catch (cause) {
			throw new BindLockError(`The environment variable ${name} is wrong: ${(cause as Error).message}`, {
				code: 'ERR_INVALID_ARG_VALUE',
				cause,
			});
		}
	}
	return options;
}
