/**
 * `handOver`: a running server gives its address, lock and listening socket in one, to a successor that it
 * starts, and there is no moment in which clients are refused.
 */

import {longestTimerMs} from '../kernel/deadline.js';
import type {BindLock} from '../lock/owned-lock.js';
import {BindLockError} from '../model/errors.js';
import {checkHandOverOptions} from '../model/option-checks.js';
import type {HandOverOptions} from '../model/options.js';
import {printable} from '../model/text.js';
import type {Offer} from '../server/bound-server.js';
import {ignoreError, letGo, type Message, type Successor, sendSocket, startSuccessor} from './channel.js';
import {offerOf} from './offer.js';

/**
 * Starts a successor (`child_process.fork`: a program of Node, with the standard streams of this one) and hands
 * it the addresses. The successor calls {@link listen} with the same addresses, as it would without a predecessor.
 * When it serves on all of them, this process stops: its servers do not listen any more, their open connections go
 * on, and it may end when they have.
 *
 * If the successor ends, fails or takes too long, it is killed, and this process serves and holds as before.
 *
 * @param locks of {@link listen}: one, or all that the successor is to have
 * @param modulePath the program, for example `process.argv[1]`
 * @returns the successor's process
 * @throws BindLockError `ERR_HAND_OVER_FAILED`; `ERR_LOCK_NOT_HELD`, `ERR_INVALID_ARG_VALUE`,
 * `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_WORKER_UNSUPPORTED_OPERATION` before anything was started
 *
 * @example
 * ```ts
 * process.on('SIGHUP', async () => {
 * 	await handOver(lock, process.argv[1]);
 * 	// Nothing more to do: this process ends with its last connection.
 * });
 * ```
 */
export async function handOver(
	locks: BindLock | readonly BindLock[],
	modulePath: string | URL,
	options: HandOverOptions = {},
): Promise<Successor> {
	const list = [locks].flat() as readonly BindLock[];
	const {timeoutMs = 30_000, ...how} = checkHandOverOptions(list[0]?.address, options);
	refuseInWorkerThread(list);
	const offers = offerAll(list);
	let successor: Successor | undefined;
	try {
		successor = startSuccessor(modulePath, how, new Map(offers.map(({key, descriptor}) => [key, descriptor])));
		await agreement(successor, offers, timeoutMs);
	} catch (error) {
		// Not before it is gone: it has our lock and our sockets, too.
		if (successor !== undefined) await ended(successor);
		for (const offer of offers) offer.withdraw();
		throw cannotHandOver(offers[0] as Offer, error as Error);
	}
	for (const offer of offers) {
		offer.accept();
		successor.send({bindlock: 'handOver', step: 'yours', key: offer.key} satisfies Message, ignoreError);
	}
	letGo(successor);
	return successor;
}

/** Only of a whole process can we say that it ends without unlinking the path that its successor serves. */
function refuseInWorkerThread([lock]: readonly BindLock[]): void {
	if (process.getBuiltinModule('node:worker_threads').isMainThread) return;
	throw new BindLockError('A worker thread cannot hand over its server, only the main thread can', {
		code: 'ERR_WORKER_UNSUPPORTED_OPERATION',
		address: lock?.address,
	});
}

function offerAll(locks: readonly BindLock[]): readonly Offer[] {
	if (locks.length === 0) {
		throw new BindLockError('There is no lock to hand over', {code: 'ERR_INVALID_ARG_VALUE'});
	}
	const offers: Offer[] = [];
	try {
		for (const lock of locks) offers.push(offerOf(lock));
	} catch (error) {
		for (const offer of offers) offer.withdraw();
		throw error;
	}
	return offers;
}

/** Resolves when the successor serves all of it, and we may stop. */
function agreement(successor: Successor, offers: readonly Offer[], timeoutMs: number): Promise<void> {
	return new Promise((resolve, reject) => {
		const open = new Map(offers.map(offer => [offer.key, offer]));
		const settle = (outcome: () => void): void => {
			clearTimeout(timer);
			successor.off('message', hear).off('exit', exited).off('error', fail);
			outcome();
		};
		const fail = (error: Error): void => settle(() => reject(error));
		const exited = (code: number | null, signal: string | null): void =>
			fail(new Error(`it ended (${signal ?? `status ${code}`}) before it served`));
		const hear = (message: unknown): void => {
			const {bindlock, step, key, reason} = (message ?? {}) as Partial<Message>;
			const offer = bindlock === 'handOver' && key !== undefined ? open.get(key) : undefined;
			if (offer === undefined) return;
			if (step === 'ready') sendSockets(successor, offer);
			if (step === 'failed') fail(new Error(reason));
			if (step === 'serving') {
				open.delete(offer.key);
				if (open.size === 0) settle(resolve);
			}
		};
		const late = (): void => fail(new Error(`it did not serve within ${timeoutMs} ms`));
		const timer = timeoutMs > longestTimerMs ? undefined : setTimeout(late, timeoutMs);
		successor.on('message', hear).on('exit', exited).on('error', fail);
		for (const offer of offers) offer.whenReleased(() => fail(new Error('the lock was released meanwhile')));
	});
}

function sendSockets(successor: Successor, {key, listener, lockSocket, file}: Offer): void {
	const message = {bindlock: 'handOver', step: 'socket', key} as const;
	if (lockSocket !== undefined) sendSocket(successor, {...message, part: 'lock'}, lockSocket);
	sendSocket(successor, {...message, part: 'listener', ...(file === undefined ? {} : {file})}, listener);
}

function ended(successor: Successor): Promise<void> {
	return new Promise(resolve => {
		if (successor.pid === undefined || successor.exitCode !== null || successor.signalCode !== null) resolve();
		else successor.once('exit', () => resolve()).kill('SIGKILL');
	});
}

function cannotHandOver(offer: Offer, cause: Error): BindLockError {
	const {address} = offer;
	return new BindLockError(
		`Cannot hand over ${printable(address)}: the successor failed: ${cause.message}; this process still serves`,
		{code: 'ERR_HAND_OVER_FAILED', address, cause},
	);
}
