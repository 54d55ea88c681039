/**
 * `handOver`: a running server gives its address, lock and listening socket to a successor that it starts. Clients are
 * never refused.
 */

import {longestTimerMs} from '../kernel/deadline.js';
import {tellMainPid} from '../kernel/node/service-manager.js';
import type {BindLock} from '../lock/owned-lock.js';
import {BindLockError} from '../model/errors.js';
import {checkHandOverOptions} from '../model/option-checks.js';
import type {HandOverOptions} from '../model/options.js';
import {printable} from '../model/text.js';
import type {Offer} from '../server/socket-transfer.js';
import {ignoreError, type Message, type Successor, sendSocket, startSuccessor, unrefSuccessor} from './channel.js';
import {offerAll} from './offer.js';

/**
 * Starts a successor and hands the addresses over to it. The successor is a Node program (`child_process.fork`) with the
 * standard streams of this process. It calls {@link listen} with the same addresses, as it does without a predecessor.
 * When it is ready to serve all of them, the servers of this process stop listening, and those of the successor accept
 * connections. Open HTTP connections are drained (`drainMs`).
 *
 * Under systemd (`NOTIFY_SOCKET`) the successor becomes the main process of the service, by systemd-notify(1).
 *
 * A successor that exits, fails or takes too long is killed, and this process continues to serve.
 *
 * @param locks one or several locks of {@link listen}
 * @param modulePath the successor's program, such as `process.argv[1]`
 * @returns the successor's process
 * @throws BindLockError `ERR_HAND_OVER_FAILED`; before anything is started also `ERR_LOCK_NOT_HELD`,
 * `ERR_INVALID_ARG_VALUE`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_WORKER_UNSUPPORTED_OPERATION`,
 * `ERR_UNSUPPORTED_PLATFORM` (Bun)
 *
 * @example
 * ```ts
 * process.on('SIGHUP', async () => {
 * 	await handOver(lock, process.argv[1]);
 * 	// This process exits with its last connection.
 * });
 * ```
 */
export async function handOver(
	locks: BindLock | readonly BindLock[],
	modulePath: string | URL,
	options: HandOverOptions = {},
): Promise<Successor> {
	const list = [locks].flat() as readonly BindLock[];
	const {timeoutMs = 30_000, drainMs, ...how} = checkHandOverOptions(list[0]?.address, options);
	refuseInWorkerThread(list);
	const offers = offerAll(list);
	let successor: Successor | undefined;
	try {
		successor = startSuccessor(modulePath, how, lockDescriptors(offers));
		await agreement(successor, offers, timeoutMs);
	} catch (error) {
		// It holds the lock and the sockets, too, until it has exited.
		if (successor !== undefined) await ended(successor);
		for (const offer of offers) offer.withdraw();
		throw cannotHandOver(offers[0] as Offer, error as Error);
	}
	for (const offer of offers) {
		offer.accept(drainMs);
		successor.send({bindlock: 'handOver', step: 'yours', key: offer.key} satisfies Message, ignoreError);
	}
	unrefSuccessor(successor);
	await tellMainPid(successor.pid as number);
	return successor;
}

/** libuv unlinks the socket file when a worker thread ends, which the successor serves by then. */
function refuseInWorkerThread([lock]: readonly BindLock[]): void {
	if (process.getBuiltinModule('node:worker_threads').isMainThread) return;
	throw new BindLockError('A worker thread cannot hand over its server, only the main thread can', {
		code: 'ERR_WORKER_UNSUPPORTED_OPERATION',
		address: lock?.address,
	});
}

/** Waits until the successor serves all addresses. */
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
		for (const offer of offers) offer.onRelease(() => fail(new Error('the lock was released meanwhile')));
	});
}

/** The descriptors of lock files, which the successor inherits. The socket of an abstract lock is sent to it instead. */
function lockDescriptors(offers: readonly Offer[]): Map<string, number | undefined> {
	return new Map(offers.map(({key, lock}) => [key, lock.socket === undefined ? lock.descriptor : undefined]));
}

function sendSockets(successor: Successor, {key, lock, listener, file, isPassed}: Offer): void {
	const message = {bindlock: 'handOver', step: 'socket', key} as const;
	if (lock.socket !== undefined) sendSocket(successor, {...message, part: 'lock'}, lock.socket);
	const identity = file && {dev: String(file.dev), ino: String(file.ino)};
	sendSocket(successor, {...message, part: 'listener', isPassed, ...(identity && {file: identity})}, listener);
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
