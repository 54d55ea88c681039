/**
 * Why a dead socket stays that this user may not ask or remove, mostly because it is another's.
 */
import type {PathnameAddress} from '../model/address.js';
import {BindLockError, systemCodeOf} from '../model/errors.js';
import type {FileStatus} from '../model/system.js';
import {printable} from '../model/text.js';
import type {Remover} from './lock-file.js';
import {isForbidden} from './refusals.js';

/** What to throw instead of what the probe or the removal has thrown: the same, unless it was a permission. */
export function explainForbidden(
	address: PathnameAddress,
	found: FileStatus,
	{uid}: Remover,
	thrown: unknown,
): unknown {
	if (!isForbidden(thrown)) return thrown;
	const {syscall} = thrown as NodeJS.ErrnoException;
	const code = systemCodeOf(thrown);
	const fields = {code, address: address.given, syscall, cause: thrown};
	const whose = `it belongs to uid ${found.uid} and this process is uid ${uid}`;
	if (syscall === 'unlink') {
		const why = code === 'EPERM' && found.uid !== uid ? `${whose}; ${sticky}` : unwritable;
		return new BindLockError(`Cannot reclaim the socket ${printable(address.path)}: ${why}`, fields);
	}
	if (syscall !== 'connect' || found.uid === uid) return thrown;
	return new BindLockError(
		`${(thrown as Error).message}; ${whose}, which may connect only with socketMode: 0o777`,
		fields,
	);
}

const sticky =
	'in a directory with the sticky bit only the owner of the socket or of the directory may remove it; use one without';

const unwritable = 'this user may not remove files from its directory; give it write permission there';
