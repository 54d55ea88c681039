/**
 * The end of `bindlock run` after that of its command.
 */
import {printable, quoted} from '../../model/text.js';
import {exit} from '../exit-status.js';
import {writeMessage} from '../output.js';

/**
 * Ends this process by the signal that ended the command, so that a supervisor or a shell sees the same end. Process 1 is
 * not ended by signals. A signal that dumps core would dump that of bindlock.
 */
export function endLike(signal: NodeJS.Signals | null): void {
	if (signal === null || process.pid === 1 || coreSignals.includes(signal)) return;
	process.kill(process.pid, signal);
}

/** signal(7) */
const coreSignals: readonly NodeJS.Signals[] = [
	'SIGQUIT',
	'SIGILL',
	'SIGTRAP',
	'SIGABRT',
	'SIGBUS',
	'SIGFPE',
	'SIGSEGV',
	'SIGXCPU',
	'SIGXFSZ',
	'SIGSYS',
];

/**
 * Reports that the command could not be started.
 *
 * @returns the exit status, as that of env(1), nohup(1) and timeout(1)
 */
export function reportNotStarted(file: string, code: string, json = false): number {
	const [status, why] =
		code === 'ENOENT'
			? [exit.notFound, 'command not found']
			: ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(code)
				? [exit.system, `cannot start a process (${code})`]
				: [exit.notExecutable, `cannot be executed (${code})`];
	const message = `${printable(file)}: ${why}`;
	writeMessage(json ? quoted({error: {code, message, exit: status}}) : `bindlock: ${message}`);
	return status;
}
