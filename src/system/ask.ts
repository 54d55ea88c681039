/**
 * Asks the holder of an abstract lock for its record. Anybody may be bound to such a name, and need not answer.
 */
import {codeOf} from '../errors.js';
import {type LockRecord, maxRecordBytes, parseRecord} from '../protocol/record.js';
import {padded} from './lock-socket.js';
import {wakeable} from './timers.js';

/** A healthy holder answers in well under a millisecond; a stalled one is named by the kernel alone. */
const answerTimeoutMs = 200;

/** `'foreign'`: an answer that is no record, or a refusal; `undefined`: none came in time. */
export type Answer = LockRecord | 'foreign' | undefined;

/** Asks the holder for its record. */
export async function askLockSocket(name: string): Promise<Answer> {
	const socket = process.getBuiltinModule('node:net').connect({path: padded(name)});
	let heard = '';
	let answer: Answer;
	try {
		await wakeable(performance.now() + answerTimeoutMs, undefined, wake => {
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
	} finally {
		socket.destroy();
	}
	return heard === '' ? answer : recordOrForeign(heard);
}

function recordOrForeign(heard: string): LockRecord | 'foreign' {
	const record = heard.length > maxRecordBytes ? 'foreign' : parseRecord(heard);
	return record === undefined || record === 'foreign' || record.since === undefined ? 'foreign' : record;
}
