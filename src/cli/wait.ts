/**
 * `bindlock wait`: returns when a server listens, or when the address is free.
 */

import {inspect} from '../api/inspect.js';
import {pause} from '../kernel/deadline.js';
import type {Address} from '../model/address.js';
import {describeHolder, type Holder} from '../model/holder.js';
import {printable} from '../model/text.js';
import {addressArgument, parseArgument} from './addresses.js';
import {parseDuration} from './durations.js';
import {exit, UsageError} from './failures.js';
import {writeMessage} from './output.js';
import {isListening} from './readiness.js';
import {holderJson, printJson} from './show.js';
import {answeredConnection, seldomMs} from './watching.js';

export interface WaitOptions {
	readonly for?: string;
	readonly timeout?: string;
	readonly json?: boolean;
}

/** What was seen at the last look. */
interface Look {
	readonly reached: boolean;
	readonly why: string;
	readonly holder?: Holder;
	/** It answered a connection, so it is not to be asked often. */
	readonly seldom?: boolean;
}

/** Looks are further apart the longer it takes, as long as nobody is kept waiting for it. */
const longestPauseMs = 100;

/** @returns the exit status */
export default async function wait([address = '']: readonly string[], options: WaitOptions): Promise<number> {
	const what = options.for ?? 'listening';
	if (what !== 'listening' && what !== 'free') throw new UsageError(`--for: ${what} is neither listening nor free`);
	const parsed = parseArgument(address);
	const timeoutMs =
		options.timeout === undefined ? Number.POSITIVE_INFINITY : parseDuration('timeout', options.timeout);
	const began = performance.now();
	let seen: Look;
	for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)) {
		seen = what === 'free' ? await lookFree(address) : await lookListening(parsed);
		const left = began + timeoutMs - performance.now();
		if (seen.reached || left <= 0) break;
		await pause(Math.min(seen.seldom ? seldomMs : pauseMs, left));
	}
	const {reached, why, holder} = seen;
	const waitedMs = Math.round(performance.now() - began);
	if (options.json) printJson({address, for: what, reached, waitedMs, holder: holderJson(holder)});
	else if (!reached) writeMessage(`bindlock: ${printable(address)}: not ${what} after ${waitedMs} ms: ${why}`);
	return reached ? exit.done : exit.taken;
}

async function lookFree(address: string): Promise<Look> {
	const seen = await inspect(addressArgument(address));
	const {state, holder, reason} = seen;
	const reached = state === 'free' || state === 'stale';
	if (holder === undefined)
		return {reached, why: reason?.message ?? state, seldom: await answeredConnection(address, seen)};
	return {reached, why: `${state}, by ${describeHolder(holder)}`, holder};
}

async function lookListening(address: Address): Promise<Look> {
	const answer = await isListening(address);
	return {reached: answer === 'listening', why: answer};
}
