/**
 * What the options and this process contribute to a {@link Claim}: the record, the user, the time limits.
 */
import {hostname} from 'node:os';
import {bootId, namespaceOf} from '../kernel/proc/namespaces.js';
import {programAndScript} from '../model/command-line.js';
import type {AcquireOptions} from '../model/options.js';
import {formatRecord, type LockRecord} from '../model/record.js';
import {noPatience, type Patience} from '../protocol/holder-wait.js';
import type {Claim, Remover} from '../protocol/lock-file.js';

/** Returns the claim of this process. */
export function claimOf(options: AcquireOptions): Claim {
	const {uid, reclaimForeign} = removerOf(options);
	return {
		uid,
		reclaimForeign,
		lockFileMode: options.lockFileMode ?? 0o600,
		record: fd => recordOf(options, {pid: process.pid, fd}, uid),
		patience: patienceOf(options),
	};
}

/** Returns who removes dead sockets, and whose. */
export function removerOf({reclaimForeign = false}: AcquireOptions): Remover {
	return {uid: process.geteuid?.(), reclaimForeign};
}

/**
 * Returns the text of a record with the options of this process.
 *
 * @param holder this process, or one that inherited the lock
 * @param uid of this process
 */
export function recordOf(
	{label}: AcquireOptions,
	holder: Pick<LockRecord, 'pid' | 'fd'> & Partial<LockRecord>,
	uid: number | undefined = process.geteuid?.(),
): string {
	const since = new Date().toISOString();
	return formatRecord({since, uid, ...ownIdentity(), label, ...holder});
}

/** The fields that are the same for every lock of this process. Reading them takes several system calls. */
let identity: Pick<LockRecord, 'command' | 'host' | 'boot' | 'pidNamespace'> | undefined;

function ownIdentity(): NonNullable<typeof identity> {
	identity ??= {
		command: programAndScript([process.argv0, ...process.argv.slice(1, 2)]),
		host: hostname(),
		boot: bootId(),
		pidNamespace: namespaceOf('pid'),
	};
	return identity;
}

/** How long a lost lock file is relocked: a newcomer may hold the new one until it finds the server and is refused. */
export function retakePatience(): Patience {
	return {...noPatience, began: performance.now(), waitMs: 1000};
}

/** Returns the time limits and callbacks of a wait that begins now. */
export function patienceOf({waitMs, onWait, replace}: AcquireOptions): Patience {
	const began = performance.now();
	if (replace === undefined) return {began, waitMs: waitMs ?? 0, onWait, replace};
	const {killSignal = 'SIGTERM', timeoutMs = waitMs ?? 10_000, escalate = false} = replace;
	return {began, waitMs: timeoutMs, onWait, replace: {killSignal, escalate}};
}
