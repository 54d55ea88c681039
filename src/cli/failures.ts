/**
 * What goes wrong, as an exit status and a message.
 */
import {BindLockError, codeOf} from '../model/errors.js';
import {quoted} from '../model/text.js';
import {definitions} from './definitions.js';
import {writeMessage} from './output.js';

/** `sysexits.h` names them EX_USAGE, EX_OSERR, EX_TEMPFAIL. */
export const exit = {done: 0, usage: 64, system: 71, taken: 75, notExecutable: 126, notFound: 127} as const;

/** The command line is wrong. */
export class UsageError extends Error {}

/** Says what went wrong on standard error. @returns the exit status */
export function report(error: unknown, json: boolean): number {
	const {message} = error as Error;
	const status = statusOf(error);
	const holder = error instanceof BindLockError ? error.holder : undefined;
	if (json) writeMessage(quoted({error: {code: codeOf(error), message, exit: status, holder}}));
	else writeMessage(`bindlock: ${message}`);
	return status;
}

function statusOf(error: unknown): number {
	const code = codeOf(error);
	if (error instanceof UsageError || /^ERR_(ADDRESS_(EMPTY|NUL|SPELLING)|INVALID_ARG|OUT_OF_RANGE)/.test(code)) {
		return exit.usage;
	}
	if (error instanceof BindLockError && code === 'ENAMETOOLONG' && error.syscall === 'bind') return exit.usage;
	return code === 'EADDRINUSE' || code.startsWith('ERR_HOLDER_') ? exit.taken : exit.system;
}

/** After a message about a wrong command line. */
export function hint(name: string | undefined): string {
	const of = definitions.some(definition => definition.name === name) ? ` ${name}` : '';
	return `Try 'bindlock${of} --help' for more.`;
}
