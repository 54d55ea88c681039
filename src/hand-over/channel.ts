/**
 * The channel between a server and its successor: Node's IPC, which carries sockets, and the descriptors
 * that a child inherits, which carry locks.
 */
import type {ChildProcess, SendHandle} from 'node:child_process';
import {closeIfFileIs} from '../kernel/lock-file-descriptor.js';

/** The process of a successor, as `child_process.fork` gives it. */
export type Successor = ChildProcess;

/** What a successor is told of at its start, and asks with `ready`. */
const variable = 'BINDLOCK_HAND_OVER';

/** The first descriptor after the standard ones and the channel. */
const firstDescriptor = 4;

export interface Message {
	readonly bindlock: 'handOver';
	/**
	 * From the successor: `ready` for the sockets, `serving` on them, `failed`. To it: `socket`, `yours` (the old server
	 * is out).
	 */
	readonly step: 'ready' | 'socket' | 'serving' | 'failed' | 'yours';
	/** Which address. */
	readonly key: string;
	/** With `socket`: the server's, or that of an abstract lock. */
	readonly part?: 'listener' | 'lock';
	/** With `socket`: device and inode of the socket's file. */
	readonly file?: {readonly dev: string; readonly ino: string};
	/** With `failed`: why. */
	readonly reason?: string;
}

export interface SuccessorOptions {
	readonly args?: readonly string[] | undefined;
	readonly execArgv?: readonly string[] | undefined;
	readonly env?: Readonly<NodeJS.ProcessEnv> | undefined;
	readonly cwd?: string | undefined;
}

/** @param locks the descriptor of each key's lock file, `undefined` for a lock that is a socket */
export function startSuccessor(
	modulePath: string | URL,
	options: SuccessorOptions,
	locks: ReadonlyMap<string, number | undefined>,
): Successor {
	const inherited: number[] = [];
	const numbers: Record<string, number> = {};
	for (const [key, descriptor] of locks) {
		numbers[key] = descriptor === undefined ? -1 : firstDescriptor + inherited.push(descriptor) - 1;
	}
	const {args = [], execArgv = process.execArgv, env = process.env, cwd = process.cwd()} = options;
	return process.getBuiltinModule('node:child_process').fork(modulePath, args, {
		execArgv: [...execArgv],
		cwd,
		env: {...env, [variable]: JSON.stringify({parent: process.pid, numbers})},
		stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...inherited],
	});
}

/** Sends a socket, which stays ours, too. */
export function sendSocket(successor: Successor, message: Message, socket: object): void {
	successor.send(message, socket as SendHandle, ignoreError);
}

/** That the channel is closed is noticed by its end. */
export function ignoreError(): void {}

/** Lets us end although the successor goes on. */
export function letGo(successor: Successor): void {
	successor.unref();
	successor.channel?.unref();
}

/**
 * Whether this process was started to succeed its parent at this address, which is told once.
 *
 * @returns the descriptor of the lock file, -1 for a lock that is a socket; `undefined` if it was not
 */
export function inheritedDescriptor(key: string): number | undefined {
	inherited ??= readInheritance();
	const descriptor = inherited[key];
	delete inherited[key];
	return descriptor;
}

let inherited: Record<string, number> | undefined;

function readInheritance(): Record<string, number> {
	const text = process.env[variable];
	// Our own children are nobody's successors by this.
	delete process.env[variable];
	if (text === undefined || process.send === undefined) return {};
	try {
		const {parent, numbers} = JSON.parse(text) as {parent: number; numbers: Record<string, number>};
		if (parent === process.ppid) return numbers;
		// Of a predecessor that has died since: its lock would be in our way, and in everybody's.
		for (const [key, descriptor] of Object.entries(numbers)) closeIfFileIs(`${key}.lock`, descriptor);
		return {};
	} catch {
		return {};
	}
}

/** The channel to the predecessor, for one address. */
export class Predecessor {
	readonly #key: string;
	readonly #heard: (message: Message, socket?: object) => void;
	readonly #gone: () => void;

	/** @param gone the predecessor has ended, or closed the channel */
	constructor(key: string, heard: (message: Message, socket?: object) => void, gone: () => void) {
		this.#key = key;
		this.#heard = heard;
		this.#gone = gone;
		process.on('message', this.#hear).once('disconnect', this.#end);
	}

	get connected(): boolean {
		return process.connected;
	}

	send(step: Message['step'], reason?: string): void {
		const message: Message = {bindlock: 'handOver', step, key: this.#key, ...(reason === undefined ? {} : {reason})};
		if (process.connected) process.send?.(message, undefined, {}, ignoreError);
	}

	/** From now on the channel alone keeps this process alive no more. */
	letGo(): void {
		process.channel?.unref();
	}

	close(): void {
		process.off('message', this.#hear).off('disconnect', this.#end);
	}

	readonly #hear = (message: unknown, socket: unknown): void => {
		const {bindlock, key} = (message ?? {}) as Partial<Message>;
		if (bindlock === 'handOver' && key === this.#key) this.#heard(message as Message, socket as object | undefined);
	};

	readonly #end = (): void => {
		this.close();
		this.#gone();
	};
}
