/**
 * The message and the exit status for each error.
 */
import {BindLockError, codeOf} from '../model/errors.js';
import {quoted} from '../model/text.js';
import {exit} from './exit-status.js';
import {writeMessage} from './output.js';

/** The command line is wrong. */
export class UsageError extends Error {}

/** Prints an error to standard error. @returns the exit status for it */
export function report(error: unknown, json: boolean): number {
	const {message} = error as Error;
	const status = statusFor(error);
	const holder = error instanceof BindLockError ? error.holder : undefined;
	if (json) writeMessage(quoted({error: {code: codeOf(error), message, exit: status, holder}}));
	else writeMessage(`bindlock: ${message}`);
	return status;
}

function statusFor(error: unknown): number {
	const code = codeOf(error);
	if (error instanceof UsageError || /^ERR_(ADDRESS_(EMPTY|NUL|SPELLING)|INVALID_ARG|OUT_OF_RANGE)/.test(code)) {
		return exit.usage;
	}
	if (error instanceof BindLockError && code === 'ENAMETOOLONG' && error.syscall === 'bind') return exit.usage;
	return code === 'EADDRINUSE' || code.startsWith('ERR_HOLDER_') ? exit.taken : exit.system;
}
