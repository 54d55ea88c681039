/**
 * `bindlock run`: takes the lock of an address and leaves it to a command.
 */
import {constants} from 'node:os';
import {passedSocket} from '../../kernel/sockets/passed-sockets.js';
import {Loss} from '../../lock/loss.js';
import {takeAddress} from '../../lock/take.js';
import {describeHolder} from '../../model/holder.js';
import {checkAcquireOptions} from '../../model/option-checks.js';
import type {AcquireOptions} from '../../model/options.js';
import {printable, quoted} from '../../model/text.js';
import {octalMode} from '../../model/value-checks.js';
import {parseAddressArgument, parseDuration} from '../arguments.js';
import {exit} from '../exit-status.js';
import {UsageError} from '../failures.js';
import {writeMessage} from '../output.js';
import {endOnSignals} from '../process-one.js';
import {startCommand} from './command-process.js';
import {clearRecord, warnIfClosed} from './inherited-lock.js';
import {guardLockFile} from './lock-guard.js';
import {SignalForwarding} from './signal-forwarding.js';

export interface RunOptions {
	readonly wait?: string;
	readonly timeout?: string;
	readonly replace?: string;
	readonly label?: string;
	readonly lockFileMode?: string;
	readonly reclaimForeign?: boolean;
	readonly closeFd?: boolean;
	readonly onLoss?: 'warn' | 'stop';
	readonly json?: boolean;
}

/** @returns the exit status */
export default async function run([address = '', ...command]: readonly string[], options: RunOptions): Promise<number> {
	const [file, ...args] = command;
	if (file === undefined) throw new UsageError('a command is missing: bindlock run ADDRESS -- COMMAND');
	const parsed = parseAddressArgument(address);
	const checked = checkAcquireOptions(parsed.given, acquireOptions(address, options));
	const leaveSignals = endOnSignals();
	const taken = await takeAddress(parsed, checked, new Loss(), passedSocket(parsed));
	const descriptor = options.closeFd ? undefined : taken.shareable?.descriptor;
	leaveSignals();
	const forwarding = new SignalForwarding();
	const started = startCommand(file, args, descriptor);
	if (started instanceof Promise) {
		taken.release();
		return reportNotStarted(file, await started, options);
	}
	// The lock of an abstract name stays here as well: its socket reports the label and the time as long as bindlock lives.
	const inherited = started.lock !== undefined && parsed.kind === 'pathname' ? parsed : undefined;
	if (started.lock !== undefined && inherited !== undefined) {
		taken.shareable?.leave({pid: started.pid, fd: started.lock});
	}
	forwarding.start(started);
	if (inherited !== undefined) warnIfClosed(inherited, started);
	const stopGuard =
		parsed.kind === 'pathname' && taken.file !== undefined
			? guardLockFile(parsed, taken.file, started, options.onLoss === 'stop')
			: undefined;
	const {status, signal} = await started.exited;
	stopGuard?.();
	forwarding.stop();
	// A lock that was left is released only if bindlock has locked the file again.
	taken.release();
	if (inherited !== undefined) clearRecord(inherited.lockPath, started.pid);
	endLike(signal);
	return status;
}

/**
 * Ends this process by the signal that ended the command, so that a supervisor or a shell sees the same end. Process 1 is
 * not ended by signals. A signal that dumps core would dump that of bindlock.
 */
function endLike(signal: NodeJS.Signals | null): void {
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

function acquireOptions(address: string, options: RunOptions): AcquireOptions {
	const {wait, timeout, replace, label, lockFileMode, reclaimForeign, json} = options;
	return {
		waitMs: waitMsOf(wait, timeout),
		replace: replace === undefined ? undefined : {killSignal: parseSignal(replace)},
		label,
		lockFileMode: lockFileMode === undefined ? undefined : parseMode(lockFileMode),
		reclaimForeign,
		onWait: holder => {
			if (json) writeMessage(quoted({waiting: {address, holder}}));
			else
				writeMessage(
					`bindlock: waiting for ${printable(address)}, held ${holder ? `by ${describeHolder(holder)}` : 'by a process that is not visible from here'}`,
				);
		},
	};
}

function waitMsOf(wait: string | undefined, timeout: string | undefined): number | undefined {
	if (timeout !== undefined) return parseDuration('timeout', timeout);
	return wait === undefined ? undefined : parseDuration('wait', wait);
}

function parseMode(text: string): number {
	try {
		return octalMode(text);
	} catch (error) {
		throw new UsageError(`--lock-file-mode: ${(error as Error).message}`);
	}
}

/** Parses a signal as kill(1) does: `TERM`, `SIGTERM`, `term`, `15`. */
function parseSignal(text: string): NodeJS.Signals {
	const upper = text.toUpperCase();
	const names = Object.entries(constants.signals);
	const found = names.find(([name, number]) => name === upper || name === `SIG${upper}` || String(number) === text);
	if (found === undefined) {
		throw new UsageError(`--replace: ${JSON.stringify(text)} is not a signal; write for example TERM, SIGTERM or 15`);
	}
	return found[0] as NodeJS.Signals;
}

/**
 * Reports that the command could not be started.
 *
 * @returns the exit status, as that of env(1), nohup(1) and timeout(1)
 */
function reportNotStarted(file: string, code: string, {json}: RunOptions): number {
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
