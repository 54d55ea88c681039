/**
 * The options that change the mode of a socket file.
 */
import {changeSocketMode} from '../kernel/sockets/socket-mode.js';
import type {Address} from '../model/address.js';
import {BindLockError, systemCodeOf} from '../model/errors.js';
import type {ListenOptions} from '../model/options.js';
import {printable} from '../model/text.js';

/**
 * Applies the options of `server.listen()`, then `socketMode`. An abstract address has no mode.
 *
 * @param began `Date.now()` before the bind
 * @throws BindLockError if the mode cannot be set
 */
export function applyPermissions(
	address: Address,
	{readableAll, writableAll, socketMode}: ListenOptions,
	began: number,
): void {
	if (address.kind === 'abstract' || !(readableAll || writableAll || socketMode !== undefined)) return;
	const added = (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
	try {
		changeSocketMode(address.bindPath, began, mode => socketMode ?? mode | added);
	} catch (cause) {
		throw new BindLockError(
			`Cannot set the mode of the socket ${printable(address.given)}: ${(cause as Error).message}`,
			{code: systemCodeOf(cause), address: address.given, syscall: 'chmod', cause},
		);
	}
}
