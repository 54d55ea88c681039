/**
 * The process that is bound to an abstract name, or to the lock socket of one.
 */
import type {Holder} from '../../model/holder.js';
import type {LockRecord} from '../../model/record.js';
import type {Bound, LockSocketHolder} from '../../model/system.js';
import {claimedHolder, withRecord} from '../flock/lock-holders.js';
import {atOnce, type Interruptible, inPieces} from '../interruptible.js';
import {askLockSocket, type LockSocketAnswer} from './lock-socket-client.js';
import {nameInTable, paddedName} from './padded-name.js';
import {hasSocketOpen, isOtherThan, ownerOf} from './socket-owners.js';
import {findAbstractSocket, isServing, type SocketRow} from './unix-sockets.js';

/**
 * Returns the socket that is bound to the abstract name, of exact length or padded.
 *
 * @param own descriptor of a socket that does not count
 */
export function boundToAbstract(name: string, own?: number): Bound | undefined | Promise<Bound | undefined> {
	return inPieces(
		(function* (): Interruptible<Bound | undefined> {
			const row = yield* serverRow(name, isOtherThan(own));
			return row && {isCertain: true, holder: yield* ownerOf(row)};
		})(),
	);
}

/** Whether a client of the abstract name would reach a server. */
export function isNameServed(name: string): boolean {
	const row = atOnce(serverRow(name));
	return row !== undefined && isServing(row);
}

/** Returns the process that is bound to an abstract lock name; `undefined` if none is, or another one since the question. */
export async function lockSocketHolder(name: string): Promise<LockSocketHolder | undefined> {
	const before = await inPieces(lockRow(name));
	const answer = await askLockSocket(name);
	const row = await inPieces(lockRow(name));
	if (row === undefined || row.inode !== before?.inode) return undefined;
	return identifyLockSocketHolder(answer, await inPieces(ownerOf(row, recordIn(answer)?.pid)));
}

/**
 * Combines the kernel's knowledge with the answer. The kernel names the process, and the answer adds label and time. The
 * answer alone counts as a claim, and only where the kernel shows no process.
 *
 * @param owner a process that has the lock socket open
 */
export function identifyLockSocketHolder(answer: LockSocketAnswer, owner: Holder | undefined): LockSocketHolder {
	const record = recordIn(answer);
	const holder = owner === undefined ? claimedHolder(record) : withRecord(owner, record);
	const bindlock =
		answer === undefined ? undefined : record !== undefined && (owner === undefined || owner.pid === record.pid);
	return {bindlock, holder};
}

export function recordIn(answer: LockSocketAnswer): LockRecord | undefined {
	return answer === 'foreign' ? undefined : answer;
}

/** Whether the process is bound to the abstract lock name, now. */
export function hasLockSocket(pid: number, name: string): boolean {
	const row = atOnce(lockRow(name));
	return row !== undefined && hasSocketOpen(pid, row);
}

function serverRow(name: string, matches?: (row: SocketRow) => boolean): Interruptible<SocketRow | undefined> {
	return findAbstractSocket([nameInTable(`\0${name}`), nameInTable(paddedName(name))], matches);
}

/** Only stream sockets: the kernel keeps the names of each type apart, so the others do not conflict. */
function lockRow(name: string): Interruptible<SocketRow | undefined> {
	return findAbstractSocket([nameInTable(paddedName(name))], row => row.type === 'stream');
}
