/**
 * A machine to rehearse on: nothing on it can be changed.
 */
import type {Server} from 'node:net';
import type {Bound, Contention, FileStatus, Place} from '../protocol/calls.js';
import {expectAccess} from './access-time.js';
import {connectOnce} from './connect.js';
import {queueingCommand} from './flock.js';
import {NodeSystem, ownUid} from './node.js';
import {awaitFlock} from './queue.js';

/** Exists everywhere, and can be neither unlinked, renamed nor linked over. */
export const root = '/';

/** Nothing is there, and nothing can be made. */
const nowhere = '/proc/self/bindlock';

/** On a filesystem where accesses are not noted, so that looking at it changes nothing. */
const lookedAt = '/proc/version';

/** What every call finds: enough of a record to be read, and a socket that nobody is bound to. */
const found = {dev: 0, ino: 0, mode: 0o600, nlink: 1, size: 1, uid: 0};

/** Makes the system calls of a take-over where they have no effect, and answers as if they had. */
export class Stage extends NodeSystem {
	#tries = 0;
	readonly #queues: boolean;
	readonly #signal: AbortSignal;

	/** @param queues whether to start what waiting starts */
	constructor(queues: boolean, signal: AbortSignal) {
		super(root, signal);
		this.#queues = queues;
		this.#signal = signal;
	}

	override openLockFile(): number {
		return super.openLockFile('/dev/null', false, 0);
	}

	override pin(): number | undefined {
		return super.pin(root);
	}

	override fstat(descriptor: number): FileStatus {
		super.fstat(descriptor);
		return {...found, type: 'file'};
	}

	override lstat(): FileStatus {
		super.lstat(root);
		return {...found, type: 'socket', uid: ownUid()};
	}

	override truncate(): void {}

	/** Taken, until it was waited for. */
	override flock(): boolean {
		return this.#tries++ > 0;
	}

	override contention(): Contention {
		return {kind: 'exclusive'};
	}

	/** In a queue where `echo` is next at once, and says and does what a flock(1) does that is granted the lock. */
	override async awaitFlock(descriptor: number, deadline: number): Promise<boolean> {
		if (!this.#queues) return true;
		return awaitFlock(descriptor, deadline, () => true, this.#signal, queueingCommand() && 'echo');
	}

	override link(): void {
		super.link(root, root);
	}

	override bound(): Promise<Bound | undefined> | undefined {
		return super.bound(nowhere, {...found, type: 'socket'}, 'named');
	}

	/** To the pinned directory, which refuses as a dead socket does. */
	override async connect(_path: string, pinned: number | undefined): Promise<string> {
		// Not on what is pinned, whose change time it would set.
		const looked = super.pin(lookedAt);
		if (looked !== undefined) {
			await expectAccess(looked, this.#signal);
			super.close(looked);
		}
		return connectOnce(nowhere, pinned, this.#signal);
	}

	override placeOf(): Promise<Place> {
		return super.placeOf(lookedAt, true);
	}

	override unlink(): boolean {
		return super.unlink(nowhere);
	}
}

export function nobodysServer(): Server {
	return process
		.getBuiltinModule('node:net')
		.createServer(connection => connection.destroy())
		.on('error', () => {})
		.unref();
}

/** Connects, and waits until the server ends that. */
export async function visit(path: string): Promise<void> {
	const socket = process.getBuiltinModule('node:net').connect({path});
	await new Promise(resolve => socket.on('error', resolve).on('end', resolve).resume());
}
