/**
 * What this process says of itself when it takes an address, and how long it waits, by its options.
 */
import {hostname} from 'node:os';
import {ownUid} from '../kernel/node-system.js';
import {bootId, namespaceOf} from '../kernel/procfs.js';
import {programAndScript} from '../model/command-line.js';
import type {AcquireOptions} from '../model/options.js';
import {formatRecord} from '../model/record.js';
import type {Claim, Remover} from '../protocol/lock-file.js';
import {noPatience, type Patience} from '../protocol/wait.js';

/** What this process says of itself to the protocol, and to those whom it refuses. */
export function claimOf(options: AcquireOptions): Claim {
	const {uid, reclaimForeign} = removerOf(options);
	const record = recordOf(options, uid);
	return {
		uid,
		reclaimForeign,
		lockFileMode: options.lockFileMode ?? 0o600,
		record: fd => record(process.pid, fd),
		patience: patienceOf(options),
	};
}

export function removerOf({reclaimForeign = false}: AcquireOptions): Remover {
	return {uid: ownUid(), reclaimForeign};
}

/** Makes the text of the record of whoever has the lock by descriptor `fd`; an abstract lock has none. */
export function recordOf({label}: AcquireOptions, uid: number): (pid: number, fd: number | undefined) => string {
	if (own?.uid !== uid) own = {uid, fields: fieldsOf(uid)};
	const constant = label === undefined ? own.fields : fieldsOf(uid, label);
	return (pid, fd) => formatRecord(pid, fd, timestamp(), constant);
}

/** ISO 8601, UTC. Made anew for each second only, because that takes half as long as a system call. */
function timestamp(): string {
	const now = Date.now();
	const milliseconds = now % 1000;
	if (now - milliseconds !== second) {
		second = now - milliseconds;
		beforePoint = new Date(second).toISOString().slice(0, 19);
	}
	return `${beforePoint}.${String(milliseconds).padStart(3, '0')}Z`;
}

let second = Number.NaN;
let beforePoint = '';

/** A newcomer may have the new lock file for as long as it takes to see that we still serve, and to be refused. */
export function retakePatience(): Patience {
	return {...noPatience, began: performance.now(), waitMs: 1000};
}

export function patienceOf({waitMs, onWait, replace}: AcquireOptions): Patience {
	if (!waitMs && replace === undefined) return noPatience;
	const began = performance.now();
	if (replace === undefined) return {began, waitMs: waitMs ?? 0, onWait, replace};
	const {killSignal = 'SIGTERM', timeoutMs = waitMs ?? 10_000, escalate = false} = replace;
	return {began, waitMs: timeoutMs, onWait, replace: {killSignal, escalate}};
}

/** As JSON without its opening brace. */
function fieldsOf(uid: number, label?: string): string {
	const command = programAndScript([process.argv0, ...process.argv.slice(1, 2)]);
	return JSON.stringify({
		uid,
		command,
		host: hostname(),
		boot: bootId(),
		pidNamespace: namespaceOf('pid'),
		label,
	}).slice(1);
}

/** Made once: a record costs a microsecond less, of about twenty for all. */
let own: {readonly uid: number; readonly fields: string} | undefined;
