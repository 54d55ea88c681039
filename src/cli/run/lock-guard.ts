/**
 * Guards the lock file while a command runs: locks it again if another program removes or replaces it, and reports a
 * loss.
 */
import type {LockFile} from '../../lock/address-lock.js';
import {Loss} from '../../lock/loss.js';
import type {PathnameAddress} from '../../model/address.js';
import {FileGuard} from '../../server/file-guard.js';
import {writeMessage} from '../output.js';
import type {CommandProcess} from './command-process.js';

/**
 * Starts the guard. The socket belongs to the command, which alone can bind it again.
 *
 * @param stopOnLoss whether a loss ends the command by SIGTERM
 * @returns stops the guard
 */
export function guardLockFile(
	address: PathnameAddress,
	lockFile: LockFile,
	command: CommandProcess,
	stopOnLoss: boolean,
): () => void {
	const loss = new Loss();
	const guard = new FileGuard({
		address,
		lockFile,
		isBound: () => true,
		rebind: async () => {},
		heals: true,
		loss,
		onHealed: () => writeMessage(`bindlock: ${lockFile.path} was removed or replaced, and is locked again`),
		onLost: () => {
			if (stopOnLoss) command.signal('SIGTERM');
		},
	});
	loss.onReport(({message}) => writeMessage(`bindlock: ${message}${stopOnLoss ? '; ending the command' : ''}`));
	return () => guard.stop();
}
