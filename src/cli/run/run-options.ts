/**
 * The options of `bindlock run`, parsed and checked.
 */
import {constants} from 'node:os';
import {firstDescriptor} from '../../kernel/sockets/passed-sockets.js';
import {describeHolder} from '../../model/holder.js';
import type {AcquireOptions} from '../../model/options.js';
import {printable, quoted} from '../../model/text.js';
import {octalMode} from '../../model/value-checks.js';
import type {SocketPermissions} from '../../server/socket-permissions.js';
import {parseDuration} from '../arguments.js';
import {optionKey} from '../definition.js';
import {UsageError} from '../failures.js';
import {writeMessage} from '../output.js';
import {listeningOptionDefinitions} from './run-definition.js';
import {groupId, userId} from './user-ids.js';

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
	readonly listen?: readonly string[];
	readonly backlog?: string;
	readonly mode?: string;
	readonly owner?: string;
	readonly group?: string;
	readonly readyFd?: string;
	readonly readyAfter?: string;
	readonly startTimeout?: string;
	readonly stopSignal?: string;
	readonly stopTimeout?: string;
}

/** Returns the options for the lock of one address. */
export function acquireOptions(address: string, options: RunOptions): AcquireOptions {
	const {wait, timeout, replace, label, lockFileMode, reclaimForeign, json} = options;
	return {
		waitMs: waitMsOf(wait, timeout),
		replace: replace === undefined ? undefined : {killSignal: parseSignal('replace', replace)},
		label,
		lockFileMode: parseMode('lock-file-mode', lockFileMode),
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

/** The options of `run --listen`. */
export interface ListeningOptions {
	readonly backlog: number;
	readonly permissions: SocketPermissions;
	readonly readyFd: number | undefined;
	readonly readyAfterMs: number;
	readonly startTimeoutMs: number;
	readonly stopSignal: NodeJS.Signals;
	readonly stopTimeoutMs: number;
}

/** @throws UsageError for an option that needs `--listen` */
export function refuseListeningOptions(options: RunOptions): void {
	const given = listeningOptionDefinitions.find(({name}) => Object.hasOwn(options, optionKey(name)));
	if (given !== undefined) throw new UsageError(`--${given.name} is an option of bindlock run --listen`);
}

/** @throws UsageError */
export function listeningOptions(options: RunOptions): ListeningOptions {
	const {backlog = '511', mode, owner, group, readyFd, readyAfter, startTimeout, stopSignal, stopTimeout} = options;
	if (options.closeFd) throw new UsageError('--close-fd cannot be used with --listen, which needs no such option');
	if (readyFd !== undefined && readyAfter !== undefined) {
		throw new UsageError('--ready-fd and --ready-after cannot be used together');
	}
	const firstFree = firstDescriptor + (options.listen?.length ?? 0);
	return {
		backlog: parseNumber('backlog', backlog, 0, 0x7fff_ffff),
		permissions: {
			socketMode: parseMode('mode', mode),
			owner:
				owner === undefined && group === undefined
					? undefined
					: {
							uid: owner === undefined ? undefined : userId(owner),
							gid: group === undefined ? undefined : groupId(group),
						},
		},
		// Up to the lowest limit of open files that is common.
		readyFd: readyFd === undefined ? undefined : parseNumber('ready-fd', readyFd, firstFree, 1023),
		readyAfterMs: parseDuration('ready-after', readyAfter ?? '1s'),
		startTimeoutMs: parseDuration('start-timeout', startTimeout ?? '30s'),
		stopSignal: parseSignal('stop-signal', stopSignal ?? 'TERM'),
		stopTimeoutMs: parseDuration('stop-timeout', stopTimeout ?? '1m'),
	};
}

function waitMsOf(wait: string | undefined, timeout: string | undefined): number | undefined {
	if (timeout !== undefined) return parseDuration('timeout', timeout);
	return wait === undefined ? undefined : parseDuration('wait', wait);
}

function parseMode(option: string, text: string | undefined): number | undefined {
	try {
		return text === undefined ? undefined : octalMode(text);
	} catch (error) {
		throw new UsageError(`--${option}: ${(error as Error).message}`);
	}
}

function parseNumber(option: string, text: string, least: number, most: number): number {
	const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
	if (number >= least && number <= most) return number;
	throw new UsageError(`--${option}: ${JSON.stringify(text)} is not a number from ${least} to ${most}`);
}

/** Parses a signal as kill(1) does: `TERM`, `SIGTERM`, `term`, `15`. */
function parseSignal(option: string, text: string): NodeJS.Signals {
	const upper = text.toUpperCase();
	const names = Object.entries(constants.signals);
	const found = names.find(([name, number]) => name === upper || name === `SIG${upper}` || String(number) === text);
	if (found === undefined) {
		throw new UsageError(`--${option}: ${JSON.stringify(text)} is not a signal; write for example TERM, SIGTERM or 15`);
	}
	return found[0] as NodeJS.Signals;
}
