/**
 * `bindlock run`: takes the lock of an address and leaves it to a command.
 */
import {passedSocket} from '../../kernel/sockets/passed-sockets.js';
import {Loss} from '../../lock/loss.js';
import {takeAddress} from '../../lock/take.js';
import {programAndScript} from '../../model/command-line.js';
import {checkAcquireOptions} from '../../model/option-checks.js';
import {parseAddressArgument} from '../arguments.js';
import {UsageError} from '../failures.js';
import {endOnSignals} from '../process-one.js';
import {endLike, reportNotStarted} from './command-end.js';
import {startCommand} from './command-process.js';
import {clearRecord, warnIfClosed} from './inherited-lock.js';
import {guardLockFile} from './lock-guard.js';
import {acquireOptions, type RunOptions, refuseListeningOptions} from './run-options.js';
import {SignalForwarding} from './signal-forwarding.js';

/** @returns the exit status */
export default async function run(operands: readonly string[], options: RunOptions): Promise<number> {
	if (options.listen !== undefined) {
		const {runListening} = await import('./run-listening.js');
		return runListening(operands, options.listen, options);
	}
	refuseListeningOptions(options);
	const [address = '', ...command] = operands;
	const [file, ...args] = command;
	if (file === undefined) throw new UsageError('a command is missing: bindlock run ADDRESS -- COMMAND');
	const parsed = parseAddressArgument(address);
	const checked = checkAcquireOptions(parsed.given, acquireOptions(address, options));
	const leaveSignals = endOnSignals();
	const taken = await takeAddress(parsed, checked, new Loss(), passedSocket(parsed));
	const descriptor = options.closeFd ? undefined : taken.shareable?.descriptor;
	leaveSignals();
	const forwarding = new SignalForwarding();
	const started = startCommand(file, args, {locks: descriptor === undefined ? [] : [descriptor]});
	if (started instanceof Promise) {
		taken.release();
		return reportNotStarted(file, await started, options.json);
	}
	const [lock] = started.locks;
	// The lock of an abstract name stays here as well: its socket reports the label and the time as long as bindlock lives.
	const inherited = lock !== undefined && parsed.kind === 'pathname' ? parsed : undefined;
	if (lock !== undefined && inherited !== undefined) {
		taken.shareable?.leave({pid: started.pid, fd: lock, command: programAndScript(command)});
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
