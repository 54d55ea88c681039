/**
 * The output of `--json`: its lines, and the objects that several commands print.
 */
import type {BindLockError} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {quoted} from '../model/text.js';
import {writeData} from './output.js';

export function printJson(value: object): void {
	writeData(`${quoted(value)}\n`);
}

export function reasonJson(reason: BindLockError | undefined): {code: string; message: string} | undefined {
	return reason && {code: reason.code, message: reason.message};
}

/** Returns the fields of a holder in a fixed order. */
export function holderJson(holder: Holder | undefined): object | undefined {
	if (holder === undefined) return undefined;
	const {pid, uid, command, since, label, host, verified} = holder;
	return {pid, uid, command, since, label, host, verified};
}
