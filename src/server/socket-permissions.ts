/**
 * The options that change the permissions of a socket file.
 */
import {changePermissions, type FileOwner} from '../kernel/sockets/file-permissions.js';
import type {Address} from '../model/address.js';
import {BindLockError, systemCodeOf} from '../model/errors.js';
import type {ListenOptions} from '../model/options.js';
import {printable} from '../model/text.js';

export interface SocketPermissions extends Pick<ListenOptions, 'readableAll' | 'writableAll' | 'socketMode'> {
	readonly owner?: FileOwner | undefined;
}

/**
 * Applies the options of `server.listen()`, then `socketMode`, then `owner`. An abstract address has no permissions.
 *
 * @param began `Date.now()` before the bind
 * @throws BindLockError if they cannot be set
 */
export function applyPermissions(
	address: Address,
	{readableAll, writableAll, socketMode, owner}: SocketPermissions,
	began: number,
): void {
	const isAnySet = readableAll || writableAll || socketMode !== undefined || owner !== undefined;
	if (address.kind === 'abstract' || !isAnySet) return;
	const added = (readableAll ? 0o444 : 0) | (writableAll ? 0o222 : 0);
	try {
		changePermissions(address.bindPath, began, mode => socketMode ?? mode | added, owner);
	} catch (cause) {
		const {syscall} = cause as NodeJS.ErrnoException;
		throw new BindLockError(
			`Cannot set the ${syscall === 'chown' ? 'owner' : 'mode'} of the socket ${printable(address.given)}: ${(cause as Error).message}`,
			{code: systemCodeOf(cause), address: address.given, syscall: syscall === 'chown' ? 'chown' : 'chmod', cause},
		);
	}
}
