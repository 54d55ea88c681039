/**
 * Asks the holders of abstract locks for their records. Anybody may be bound to such a name, and need not answer.
 */
import {codeOf} from '../model/errors.js';
import {type LockRecord, maxRecordBytes, parseRecord} from '../model/record.js';
import {wakeable} from './deadline.js';
import {padded} from './lock-socket.js';
import {freeDescriptors} from './procfs.js';

/** A healthy holder answers in well under a millisecond; a stalled one is named by the kernel alone. */
const answerTimeoutMs = 200;

/** `'foreign'`: an answer that is no record, or a refusal; `undefined`: none came in time. */
export type Answer = LockRecord | 'foreign' | undefined;

/** Asks one. */
export async function askLockSocket(name: string, timeoutMs: number = answerTimeoutMs): Promise<Answer> {
	const socket = process.getBuiltinModule('node:net').connect({path: padded(name)});
	let heard = '';
	let answer: Answer;
	try {
		const inTime = await wakeable(performance.now() + timeoutMs, undefined, wake => {
			socket.setEncoding('utf8').on('data', chunk => {
				heard += chunk;
				if (/\n.*\n/s.test(heard) || heard.length > maxRecordBytes) wake();
			});
			socket.on('end', wake).on('error', error => {
				if (codeOf(error) !== 'EAGAIN') answer = 'foreign';
				wake();
			});
			socket.on('end', () => {
				answer = 'foreign';
			});
		});
		// Timers run before what has arrived is read: where we were busy, the answer may be there. It takes one turn of
		// the event loop to be connected, and one to read.
		for (let turn = 0; turn < 2 && !inTime; turn++) await new Promise(resolve => setImmediate(resolve));
	} finally {
		socket.destroy();
	}
	return heard === '' ? answer : recordOrForeign(heard);
}

/**
 * Asks all at once, in about the time of one: where they are more than may be asked at the same time, each has less.
 */
export async function askLockSockets(names: readonly string[]): Promise<ReadonlyMap<string, Answer>> {
	const atOnce = Math.max(1, Math.min(mostAtOnce, names.length, Math.floor(freeDescriptors() / 2)));
	const timeoutMs = Math.max(leastTimeoutMs, (answerTimeoutMs * atOnce) / Math.max(1, names.length));
	const answers = new Map<string, Answer>();
	const left = names.values();
	const askOneAfterTheOther = async (): Promise<void> => {
		for (const name of left) answers.set(name, await askLockSocket(name, timeoutMs));
	};
	await Promise.all(Array.from({length: atOnce}, askOneAfterTheOther));
	return answers;
}

/** To connect so many takes a few milliseconds. */
const mostAtOnce = 256;

/** Enough for a holder that need not wait for a processor. */
const leastTimeoutMs = 10;

function recordOrForeign(heard: string): LockRecord | 'foreign' {
	const record = heard.length > maxRecordBytes ? 'foreign' : parseRecord(heard);
	return record === undefined || record === 'foreign' || record.since === undefined ? 'foreign' : record;
}
