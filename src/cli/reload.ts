/**
 * `bindlock reload`: makes `bindlock run --listen` start its command anew, and waits for the result.
 */
import {pause} from '../kernel/deadline.js';
import {hasLock} from '../kernel/flock/lock-holders.js';
import {NodeSystem} from '../kernel/node-system.js';
import {signalProcess} from '../kernel/proc/processes.js';
import {hasLockSocket, recordIn} from '../kernel/sockets/abstract-owners.js';
import {askLockSocket} from '../kernel/sockets/lock-socket-client.js';
import type {Address} from '../model/address.js';
import {attempt} from '../model/attempt.js';
import {BindLockError, systemCodeOf} from '../model/errors.js';
import {type LockRecord, maxRecordBytes, parseRecord, type Reloads} from '../model/record.js';
import {printable} from '../model/text.js';
import {parseAddressArgument, parseTimeout} from './arguments.js';
import {exit} from './exit-status.js';
import {printJson} from './json.js';
import {writeMessage} from './output.js';

interface ReloadOptions {
	readonly timeout?: string;
	readonly json?: boolean;
}

/** A record of `bindlock run --listen`. */
interface Listening extends LockRecord {
	readonly reloads: Reloads;
}

const pollMs = 20;

/** @returns the exit status */
export default async function reload([address = '']: readonly string[], options: ReloadOptions): Promise<number> {
	const parsed = parseAddressArgument(address);
	const timeoutMs = parseTimeout(options.timeout);
	const deadline = performance.now() + timeoutMs;
	const name = printable(address);
	const fail = (status: number, error: string, pid?: number): number => {
		if (options.json) printJson({address, reloaded: false, pid, error});
		else writeMessage(`bindlock: ${name}: ${error}`);
		return status;
	};
	const before = await recordOf(parsed);
	if (before === undefined || !sendReload(parsed, before)) {
		return fail(exit.unavailable, 'no bindlock run --listen holds this address');
	}
	// A reload that had begun before may have started the command with an older configuration.
	const wanted = before.reloads.begun + 1;
	for (;;) {
		const now = await recordOf(parsed);
		if (now !== undefined && now.reloads.pid === before.reloads.pid && now.reloads.ended >= wanted) {
			const {error} = now.reloads;
			if (error !== undefined)
				return fail(exit.failed, `the reload failed: ${error}; process ${now.pid} continues`, now.pid);
			if (options.json) printJson({address, reloaded: true, pid: now.pid});
			return exit.done;
		}
		if (!holdsLock(parsed, before)) return fail(exit.unavailable, 'bindlock run has ended during the reload');
		if (performance.now() >= deadline) return fail(exit.taken, `the reload has not ended after ${options.timeout}`);
		await pause(pollMs);
	}
}

async function recordOf(address: Address): Promise<Listening | undefined> {
	if (address.kind === 'abstract') {
		const record = recordIn(await askLockSocket(address.lockName));
		return hasReloads(record) ? record : undefined;
	}
	const text = attempt(() => new NodeSystem(address.given).peek(address.lockPath, maxRecordBytes));
	const record = parseRecord(text ?? '');
	return record !== 'foreign' && hasReloads(record) ? record : undefined;
}

function hasReloads(record: LockRecord | undefined): record is Listening {
	return record?.reloads !== undefined;
}

/** Whether the process that reloads holds the lock, so that it may be signalled. */
function holdsLock(address: Address, {reloads}: Listening): boolean {
	if (address.kind === 'abstract') return hasLockSocket(reloads.pid, address.lockName);
	const file = attempt(() => new NodeSystem(address.given).lstat(address.lockPath));
	return file !== undefined && hasLock(reloads.pid, file, address.lockPath);
}

/** @returns `false` if that process does not hold the lock */
function sendReload(address: Address, record: Listening): boolean {
	try {
		return signalProcess(record.reloads.pid, 'SIGHUP', () => holdsLock(address, record)) !== undefined;
	} catch (cause) {
		throw new BindLockError(
			`Cannot reload ${printable(address.given)}: this user may not signal process ${record.reloads.pid}`,
			{
				code: systemCodeOf(cause),
				address: address.given,
				syscall: 'kill',
				cause,
			},
		);
	}
}
