/**
 * `bindlock run`: takes the lock and leaves it to a command.
 */
import {constants} from 'node:os';
import {isRunning} from '../../kernel/procfs.js';
import {Loss} from '../../lock/loss.js';
import {takeAddress} from '../../lock/take.js';
import type {PathnameAddress} from '../../model/address.js';
import {describeHolder} from '../../model/holder.js';
import {checkAcquireOptions} from '../../model/option-checks.js';
import type {AcquireOptions} from '../../model/options.js';
import {printable, quoted} from '../../model/text.js';
import {octalMode} from '../../model/value-checks.js';
import {parseArgument} from '../addresses.js';
import {parseDuration} from '../durations.js';
import {exit, UsageError} from '../failures.js';
import {clearRecord, lockOf} from '../lock-lookup.js';
import {writeMessage} from '../output.js';
import {GroupWitness, hasTerminal} from './group-signals.js';
import {type Started, startCommand} from './spawn.js';

export interface RunOptions {
	readonly wait?: string;
	readonly replace?: string;
	readonly label?: string;
	readonly lockFileMode?: string;
	readonly reclaimForeign?: boolean;
	readonly closeFd?: boolean;
	readonly json?: boolean;
}

/** @returns the exit status */
export default async function run([address = '', ...command]: readonly string[], options: RunOptions): Promise<number> {
	const [file, ...args] = command;
	if (file === undefined) throw new UsageError('a command is missing: bindlock run ADDRESS -- COMMAND');
	const parsed = parseArgument(address);
	const checked = checkAcquireOptions(parsed.given, acquireOptions(address, options));
	const taken = await takeAddress(parsed, checked, new Loss());
	const lock = options.closeFd ? undefined : taken.shareable?.descriptor;
	const forward = new Forwarding();
	const started = startCommand(file, args, lock);
	if (started instanceof Promise) {
		taken.release();
		return cannotStart(file, await started, options);
	}
	// An abstract lock is answered as long as we are here: that tells its label and since when.
	const left = started.lock !== undefined && parsed.kind === 'pathname' ? parsed : undefined;
	if (started.lock !== undefined && left !== undefined) taken.leave({pid: started.pid, fd: started.lock});
	forward.to(started);
	if (left !== undefined) warnIfClosed(left, started);
	const status = await started.exited;
	forward.stop();
	if (left === undefined) taken.release();
	else clearRecord(left.lockPath, started.pid);
	return status;
}

function acquireOptions(address: string, options: RunOptions): AcquireOptions {
	const {wait, replace, label, lockFileMode, reclaimForeign, json} = options;
	return {
		waitMs: wait === undefined ? undefined : parseDuration('wait', wait),
		replace: replace === undefined ? undefined : {killSignal: signalNamed(replace)},
		label,
		lockFileMode: lockFileMode === undefined ? undefined : modeFrom(lockFileMode),
		reclaimForeign,
		onWait: holder => {
			if (json) writeMessage(quoted({waiting: {address, holder}}));
			else
				writeMessage(
					`bindlock: waiting for ${printable(address)}: ${holder ? `held by ${describeHolder(holder)}` : 'held'}`,
				);
		},
	};
}

function modeFrom(text: string): number {
	try {
		return octalMode(text);
	} catch (error) {
		throw new UsageError(`--lock-file-mode: ${(error as Error).message}`);
	}
}

/** As kill(1) reads it: `TERM`, `SIGTERM`, `term`, `15`. */
function signalNamed(text: string): NodeJS.Signals {
	const upper = text.toUpperCase();
	const names = Object.entries(constants.signals);
	const found = names.find(([name, number]) => name === upper || name === `SIG${upper}` || String(number) === text);
	if (found === undefined) throw new UsageError(`--replace: ${JSON.stringify(text)} is no signal`);
	return found[0] as NodeJS.Signals;
}

/** The statuses of env(1), nohup(1) and timeout(1). */
function cannotStart(file: string, code: string, {json}: RunOptions): number {
	const [status, why] =
		code === 'ENOENT'
			? [exit.notFound, 'command not found']
			: ['EAGAIN', 'ENOMEM', 'EMFILE', 'ENFILE'].includes(code)
				? [exit.system, `cannot start a process (${code})`]
				: [exit.notExecutable, `cannot be executed (${code})`];
	const hint = /^\d+(ms|s|m|h|d)?$/.test(file) ? '; a value of --wait is written --wait=30s' : '';
	const message = `${printable(file)}: ${why}${hint}`;
	writeMessage(json ? quoted({error: {code, message, exit: status}}) : `bindlock: ${message}`);
	return status;
}

/**
 * Not SIGTSTP: Ctrl-Z stops the whole group, this process included, as a shell expects of its job.
 * SIGCONT then comes to the group as well, and a second one does nothing.
 */
const forwarded = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Twice makes no difference. */
const harmless: readonly string[] = ['SIGWINCH', 'SIGCONT'];

/** From its construction no signal ends this process: the command decides what becomes of both. */
class Forwarding {
	readonly #witness: GroupWitness | undefined = hasTerminal() ? new GroupWitness() : undefined;
	readonly #early: NodeJS.Signals[] = [];
	#command: Started | undefined;

	constructor() {
		for (const signal of forwarded) process.on(signal, this.#forward);
	}

	/** Signals that came while it was being started reach it now. */
	to(command: Started): void {
		this.#command = command;
		this.#witness?.start();
		for (const signal of this.#early) command.signal(signal);
	}

	stop(): void {
		for (const signal of forwarded) process.off(signal, this.#forward);
		this.#witness?.stop();
	}

	readonly #forward = async (signal: NodeJS.Signals): Promise<void> => {
		if (this.#command === undefined) this.#early.push(signal);
		else if (this.#witness === undefined || harmless.includes(signal) || !(await this.#witness.sawToo(signal))) {
			this.#command.signal(signal);
		}
	};
}

/** Some commands close what they inherit. Most have by the first look, if they do, and slow ones by the last. */
const looksAfterMs = [1000, 5000, 30_000];

function warnIfClosed({given, lockPath}: PathnameAddress, command: Started): void {
	let over = process.platform !== 'linux';
	void command.exited.then(() => {
		over = true;
	});
	const check = (): void => {
		// In this order: a command that is running after the lock was gone has lost it before its end.
		if (over || lockOf(lockPath) !== undefined || !isRunning(command.pid)) return;
		over = true;
		writeMessage(
			`bindlock: ${printable(given)}: the command has closed the descriptor of the lock and has no lock any more; use --close-fd`,
		);
	};
	for (const milliseconds of looksAfterMs) setTimeout(check, milliseconds).unref();
}
