/**
 * What `take` remembers of its calls. Processes that reach the same point with the same memory count as one, however
 * they got there. Without this reduction, every answer distinguishes two processes, and there are fifty times more
 * states.
 *
 * At each of these points `takeLock` and its callees read few variables later. The text contains all of them.
 * `reduction.deep.test.ts` explores scenarios with and without the reduction and compares the results.
 */
import {maxReplacements} from '../../src/protocol/refusals.js';
import type {Made} from './process.js';
import {lockPath, path} from './programs.js';
import type {SimulatedCall} from './system.js';

export function rememberedByTake(history: readonly Made[], next: SimulatedCall): string | undefined {
	const attempts = count(history, ({call}) => isOpening(call, false));
	const waited = history.some(({call}) => call.name === 'awaitFlock');
	// The loops in `takeLock` and `openLockFile` share this count. It matters only near the limit.
	if (attempts >= maxReplacements) return undefined;
	const loops = [attempts, waited];
	// The head of these loops: the file of the previous attempt is closed.
	if (isOpening(next, false)) return JSON.stringify(['open', loops]);
	const begin = history.findLastIndex(({call}) => call.name === 'openLockFile');
	const opening = history[begin];
	if (opening === undefined || next.name !== 'lstat') return undefined;
	const attempt = history.slice(begin + 1);
	const file = [loops, opening.call.parameters[1], opening.answer];
	const firstLook = attempt.findIndex(({call}) => isLook(call, path));
	return firstLook < 0
		? rememberedBeforeLock(file, attempt, next)
		: rememberedUnderLock(file, attempt, next, attempt.slice(firstLook));
}

/** `lockOpened` and `contend`. */
function rememberedBeforeLock(file: unknown, attempt: readonly Made[], next: SimulatedCall): string | undefined {
	// The first call of `reclaim`: only the file seen under the lock matters.
	if (isLook(next, path)) return JSON.stringify(['locked', file, lastLook(attempt, lockPath)]);
	const last = attempt.at(-1);
	if (last?.call.name !== 'flock' || !('value' in last.answer)) return undefined;
	const opened = attempt.find(({call}) => call.name === 'fstat')?.answer;
	if (last.answer.value === true) return JSON.stringify(['flocked', file, opened]);
	// The head of the loop in `contend`: the record read before the lock, and the elapsed time.
	const record = attempt.find(({call}) => call.name === 'read')?.answer;
	return JSON.stringify(['contend', file, opened, record, count(attempt, ({call}) => call.name === 'pause')]);
}

/** The end of `unlinkIfDead`: the socket is dead, and the evidence no longer matters. */
function rememberedUnderLock(
	file: unknown,
	attempt: readonly Made[],
	next: SimulatedCall,
	since: readonly Made[],
): string | undefined {
	const locked = lastLook(attempt.slice(0, -since.length), lockPath);
	const looks = count(since, ({call}) => isLook(call, path));
	const pinning = since.findLastIndex(({call}) => call.name === 'pin');
	const whilePinned = since.slice(pinning + 1);
	const isUnpinned = pinning < 0 || whilePinned.some(({call}) => call.name === 'close');
	if (isUnpinned || !whilePinned.some(({call}) => call.name === 'placeOf')) return undefined;
	return JSON.stringify([next.parameters[0], file, locked, looks, lastLook(since, path), since[pinning]?.answer]);
}

function lastLook(made: readonly Made[], at: string): unknown {
	return made.findLast(({call}) => isLook(call, at))?.answer;
}

function count(made: readonly Made[], is: (made: Made) => boolean): number {
	return made.filter(is).length;
}

function isOpening({name, parameters}: SimulatedCall, create: boolean): boolean {
	return name === 'openLockFile' && parameters[1] === create;
}

function isLook({name, parameters}: SimulatedCall, at: string): boolean {
	return name === 'lstat' && parameters[0] === at;
}
