/**
 * The channel between a server and its successor: Node's IPC carries the sockets, and descriptors that the child
 * inherits carry the locks.
 */
import type {ChildProcess, SendHandle} from 'node:child_process';
import {pause} from '../kernel/deadline.js';
import {closeIfFileIs} from '../kernel/files/lock-file-descriptor.js';
import {variable} from '../kernel/node/environment.js';

/** The process of a successor, as `child_process.fork` returns it. */
export type Successor = ChildProcess;

/** The environment variable that tells a child that it is a successor, and which descriptors it inherits. */
const handOverVariable = 'BINDLOCK_HAND_OVER';

/** The first descriptor after the standard ones and the IPC channel. */
const firstDescriptor = 4;

/** A message of the hand-over of one address. */
export interface Message {
	readonly bindlock: 'handOver';
	/**
	 * The successor sends `ready` to ask for the sockets, `serving` when its server has them, and `failed`. The predecessor
	 * sends each `socket`, and `yours` when it has stopped listening. Then the successor accepts connections.
	 */
	readonly step: 'ready' | 'socket' | 'serving' | 'failed' | 'yours';
	/** The address, see `keyOf`. */
	readonly key: string;
	/** With `socket`: the listening socket of the server, or the socket of an abstract lock. */
	readonly part?: 'listener' | 'lock';
	/** With `socket`: see `Offer.isPassed`. */
	readonly isPassed?: boolean;
	/** With `socket`: the device and inode of the socket file. */
	readonly file?: {readonly dev: string; readonly ino: string};
	/** With `failed`: the reason. */
	readonly reason?: string;
}

/** How the successor is started. */
interface SuccessorOptions {
	readonly args?: readonly string[] | undefined;
	readonly execArgv?: readonly string[] | undefined;
	readonly env?: Readonly<NodeJS.ProcessEnv> | undefined;
	readonly cwd?: string | undefined;
}

/**
 * Starts the successor.
 *
 * @param locks the descriptor of each lock file by its key; `undefined` for a lock that is a socket
 */
export function startSuccessor(
	modulePath: string | URL,
	options: SuccessorOptions,
	locks: ReadonlyMap<string, number | undefined>,
): Successor {
	const inherited: number[] = [];
	const numbers: Numbers = {};
	for (const [key, descriptor] of locks) {
		numbers[key] = descriptor === undefined ? null : firstDescriptor + inherited.push(descriptor) - 1;
	}
	const {args = [], execArgv = process.execArgv, env = process.env, cwd = process.cwd()} = options;
	return process.getBuiltinModule('node:child_process').fork(modulePath, args, {
		execArgv: [...execArgv],
		cwd,
		env: {...env, [handOverVariable]: JSON.stringify({parent: process.pid, numbers})},
		stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...inherited],
	});
}

/** The number of each lock's descriptor in the successor, by key; `null` for a lock that is a socket. */
type Numbers = Record<string, number | null>;

/** Sends a socket. This process keeps its own descriptor of it. */
export function sendSocket(successor: Successor, message: Message, socket: object): void {
	successor.send(message, socket as SendHandle, ignoreError);
}

/** Ignores a send on a closed channel: its `'disconnect'` or `'exit'` event reports that. */
export function ignoreError(): void {}

/** Lets this process exit while the successor runs. */
export function unrefSuccessor(successor: Successor): void {
	successor.unref();
	successor.channel?.unref();
}

/**
 * Returns the lock that this process inherited as the successor at an address. Each is returned once.
 *
 * @returns its descriptor, which a lock that is a socket does not have; `undefined` if this process is not a successor
 * at this address
 */
export function inheritedLock(key: string): {readonly descriptor: number | undefined} | undefined {
	inherited ??= readInherited();
	const descriptor = inherited[key];
	delete inherited[key];
	return descriptor === undefined ? undefined : {descriptor: descriptor ?? undefined};
}

let inherited: Numbers | undefined;

/** The keys of addresses that the predecessor still serves. */
const unserved: Set<string> = new Set();

function readInherited(): Numbers {
	const text = variable(handOverVariable);
	if (text === undefined) return {};
	// The children of this process are not successors.
	delete process.env[handOverVariable];
	if (process.send === undefined) return {};
	try {
		const {parent, numbers} = JSON.parse(text) as {parent: number; numbers: Numbers};
		if (parent === process.ppid) {
			predecessor = parent;
			for (const key of Object.keys(numbers)) unserved.add(key);
			return numbers;
		}
		// The predecessor has exited. Its lock would exclude every server, this one included.
		for (const [key, descriptor] of Object.entries(numbers)) {
			if (descriptor !== null) closeIfFileIs(`${key}.lock`, descriptor);
		}
		return {};
	} catch {
		return {};
	}
}

let predecessor: number | undefined;

/** The successor's end of the channel, for one address. */
export class PredecessorChannel {
	readonly #key: string;
	readonly #onMessage: (message: Message, socket?: object) => void;
	readonly #onClose: () => void;

	/** @param onClose the predecessor has exited, or one of the two processes has closed the channel */
	constructor(key: string, onMessage: (message: Message, socket?: object) => void, onClose: () => void) {
		this.#key = key;
		this.#onMessage = onMessage;
		this.#onClose = onClose;
		// One listener for all addresses: Node warns of a leak from eleven on.
		if (channels.size === 0) process.on('message', dispatch).once('disconnect', closeAll);
		channels.set(key, this);
	}

	get connected(): boolean {
		return process.connected;
	}

	send(step: Message['step'], reason?: string): void {
		if (step === 'serving') unserved.delete(this.#key);
		const message: Message = {bindlock: 'handOver', step, key: this.#key, ...(reason === undefined ? {} : {reason})};
		if (process.connected) process.send?.(message, undefined, {}, ignoreError);
	}

	hear(message: Message, socket: object | undefined): void {
		this.#onMessage(message, socket);
	}

	close(): void {
		this.#onClose();
	}

	/**
	 * Waits, after the channel was closed, until the predecessor does not serve. If this program has called
	 * `process.disconnect()`, the predecessor lives: it stops if all addresses are served here, and else kills this
	 * process.
	 */
	async predecessorStopped(): Promise<void> {
		while (unserved.size > 0 && process.ppid === predecessor) await pause(10);
	}

	/** Lets this process exit while the channel is open. */
	unref(): void {
		process.channel?.unref();
	}
}

/** By key. */
const channels: Map<string, PredecessorChannel> = new Map();

function dispatch(message: unknown, socket: unknown): void {
	const {bindlock, key} = (message ?? {}) as Partial<Message>;
	if (bindlock !== 'handOver' || key === undefined) return;
	channels.get(key)?.hear(message as Message, socket as object | undefined);
}

function closeAll(): void {
	process.off('message', dispatch);
	for (const channel of channels.values()) channel.close();
}
