/**
 * The settings of `bindlock/register` that come from the environment.
 */
import {BindLockError} from './errors.js';
import {checkRegisterOptions, type RegisterOptions} from './options.js';

type Reader = (text: string) => Partial<Record<keyof RegisterOptions, unknown>>;

const readers: Readonly<Record<string, Reader>> = {
	BINDLOCK_WAIT_MS: text => ({waitMs: text.trim() === '' ? Number.NaN : Number(text)}),
	BINDLOCK_REPLACE: text => ({replace: text === '1' ? {} : {signal: text}}),
	BINDLOCK_LABEL: label => ({label}),
	BINDLOCK_BACKEND: backend => ({backend}),
	BINDLOCK_HEAL: text => ({heal: {'0': false, '1': true}[text] ?? text}),
	BINDLOCK_EXCLUDE: text => ({exclude: new RegExp(text)}),
};

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
				address: '',
				cause,
			});
		}
	}
	return options;
}
