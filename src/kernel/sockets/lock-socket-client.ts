/**
 * Clients of lock sockets: asking the holder of an abstract lock for its record, and waiting for its end.
 *
 * Any process may be bound to such a name, and need not answer.
 */
import type {NetConnectOpts, Socket} from 'node:net';
import {backoffMs} from '../../model/backoff.js';
import {codeOf} from '../../model/errors.js';
import {type LockRecord, maxRecordBytes, parseRecord} from '../../model/record.js';
import {jittered, pause, timeLeft, wakeable} from '../deadline.js';
import {quarterOfDescriptors} from '../proc/process-descriptors.js';
import {connectByFfi} from './ffi-sockets.js';
import {paddedName} from './padded-name.js';

/** `'foreign'`: an answer that is no record, or a refusal. `undefined`: no answer in time. */
export type LockSocketAnswer = LockRecord | 'foreign' | undefined;

/** A healthy holder answers in well under a millisecond. The holder of a stalled one is found by the kernel alone. */
const answerTimeoutMs = 200;

/** Asks one holder for its record. */
export async function askLockSocket(name: string, timeoutMs: number = answerTimeoutMs): Promise<LockSocketAnswer> {
	const socket = connectTo(name);
	let text = '';
	let answer: LockSocketAnswer;
	try {
		const inTime = await wakeable(performance.now() + timeoutMs, undefined, wake => {
			socket.setEncoding('utf8').on('data', chunk => {
				text += chunk;
				if (/\n.*\n/s.test(text) || text.length > maxRecordBytes) wake();
			});
			socket.on('error', error => {
				if (codeOf(error) !== 'EAGAIN') answer = 'foreign';
				wake();
			});
			socket.on('end', () => {
				answer = 'foreign';
				wake();
			});
		});
		// Timers run before I/O: if this process was busy, the answer may have arrived. To connect takes one turn of the
		// event loop, and to read another.
		for (let turn = 0; turn < 2 && !inTime; turn++) await new Promise(resolve => setImmediate(resolve));
	} finally {
		socket.destroy();
	}
	if (text === '') return answer;
	const record = text.length > maxRecordBytes ? 'foreign' : parseRecord(text);
	return record === undefined || record === 'foreign' || record.since === undefined ? 'foreign' : record;
}

function connectTo(name: string): Socket {
	const {connect, Socket} = process.getBuiltinModule('node:net');
	const path = paddedName(name);
	try {
		const fd = connectByFfi(path);
		return connect(fd === undefined ? {path} : ({fd} as unknown as NetConnectOpts));
	} catch (error) {
		return new Socket().destroy(error as Error);
	}
}

/**
 * Asks many holders at once, in about the time of one. If there are more than may be asked at the same time, each has
 * less time to answer.
 */
export async function askLockSockets(names: readonly string[]): Promise<ReadonlyMap<string, LockSocketAnswer>> {
	const atOnce = Math.max(1, Math.min(maxAtOnce, names.length, quarterOfDescriptors()));
	const timeoutMs = Math.max(minTimeoutMs, (answerTimeoutMs * atOnce) / Math.max(1, names.length));
	const answers = new Map<string, LockSocketAnswer>();
	const remaining = names.values();
	const askInTurn = async (): Promise<void> => {
		for (const name of remaining) answers.set(name, await askLockSocket(name, timeoutMs));
	};
	await Promise.all(Array.from({length: atOnce}, askInTurn));
	return answers;
}

/** Connecting to so many takes a few milliseconds. */
const maxAtOnce = 256;

/** Enough for a holder that need not wait for a processor. */
const minTimeoutMs = 10;

/** The state of one wait. */
export interface LockSocketWait {
	/** How many of the latest connections in a row were short. */
	shortConnections: number;
}

/**
 * Waits until the holder of the lock socket has ended, by a connection to it: the kernel closes that when the holder
 * ends, even if it was never accepted. The holder also closes it to make room for other clients; call this again then.
 *
 * @param deadline of `performance.now()`, in milliseconds
 * @returns `false` if the deadline has passed
 * @throws the signal's reason
 */
export async function awaitLockSocket(
	name: string,
	deadline: number,
	signal: AbortSignal | undefined,
	wait: LockSocketWait,
): Promise<boolean> {
	signal?.throwIfAborted();
	// A single short connection causes no pause: most likely its holder has just ended. More of them mean that there are
	// more waiters than the holder keeps, that its backlog is full, or that a squatter hangs up at once.
	await pauseUntil(deadline, jittered(backoffMs(Math.max(0, wait.shortConnections - 1), 5, maxPauseMs)), signal);
	// A failed connect is known sooner than any timer fires, so the timer alone would not end the caller's loop.
	if (timeLeft(deadline) <= 0) return false;
	const began = performance.now();
	const socket = connectTo(name);
	try {
		const hasEnded = await wakeable(deadline, signal, wake => {
			socket
				.on('error', () => {})
				.on('close', wake)
				.resume();
		});
		if (!hasEnded) return false;
	} finally {
		socket.destroy();
	}
	wait.shortConnections = performance.now() - began < shortMs ? wait.shortConnections + 1 : 0;
	// All waiters see the end of their holder at the same time.
	await pauseUntil(deadline, 2 * Math.random(), signal);
	return true;
}

/** A connection that ends sooner is short. */
const shortMs = 1000;

/** Long, because all waiters that the holder does not keep do this. Those that it keeps see its end at once. */
const maxPauseMs = 500;

async function pauseUntil(deadline: number, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
	if (milliseconds > 0) await pause(Math.min(milliseconds, timeLeft(deadline)), signal);
}
