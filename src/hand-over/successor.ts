/**
 * The new side of a hand-over: a server that was started by `handOver` gets the lock and the listening
 * socket from its predecessor, instead of taking and binding them.
 */

import {inheritAbstract, inheritPathname, type TakenAddress} from '../lock/take.js';
import {type Address, keyOf} from '../model/address.js';
import {BindLockError} from '../model/errors.js';
import type {AcquireOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {printable} from '../model/text.js';
import type {InheritedSocket} from '../server/bound-server.js';
import {inheritedDescriptor, type Message, Predecessor} from './channel.js';

/**
 * @returns `undefined` if this process was not started to succeed at this address, or if its predecessor
 * has ended since: then the address is to be taken as always
 */
export async function succeed(address: Address, options: AcquireOptions): Promise<Succession | undefined> {
	const descriptor = inheritedDescriptor(keyOf(address));
	if (descriptor === undefined) return undefined;
	const succession = new Succession(address, options, descriptor);
	return (await succession.receive()) ? succession : undefined;
}

export class Succession implements InheritedSocket {
	readonly #address: Address;
	readonly #options: AcquireOptions;
	readonly #descriptor: number;
	readonly #predecessor: Predecessor;
	#taken: TakenAddress | undefined;
	#listener: Listener | undefined;
	#lockSocket: Listener | undefined;
	#file: Message['file'];
	#wake: () => void = () => {};
	#yours = false;
	#failed = false;

	constructor(address: Address, options: AcquireOptions, descriptor: number) {
		this.#address = address;
		this.#options = options;
		this.#descriptor = descriptor;
		this.#predecessor = new Predecessor(
			keyOf(address),
			(message, socket) => this.#hear(message, socket),
			() => this.#wake(),
		);
	}

	/** Asks for the sockets. `false`: the predecessor is gone, and with it what it served. */
	async receive(): Promise<boolean> {
		this.#predecessor.send('ready');
		await this.#until(() => this.#listener !== undefined);
		const complete = this.#listener !== undefined;
		try {
			this.#taken = this.#inherit();
		} catch (error) {
			this.fail(error);
			throw error;
		}
		// Nothing is served by it any more: the way of everybody is open, and the shortest.
		if (!complete) this.#taken.leaveTo?.();
		return complete;
	}

	get taken(): TakenAddress {
		return this.#taken as TakenAddress;
	}

	get listener(): Listener {
		return this.#listener as Listener;
	}

	checkFile(found: FileStatus | undefined): void {
		if (this.#address.kind === 'abstract') return;
		if (found !== undefined && String(found.dev) === this.#file?.dev && String(found.ino) === this.#file.ino) return;
		throw cannotSucceed(this.#address, 'its socket file is not the one that was handed over');
	}

	/**
	 * Says that we serve, and returns when the predecessor does not any more: when it says so, or by its end.
	 *
	 * @returns `false` if we have given up meanwhile
	 */
	async complete(): Promise<boolean> {
		this.#predecessor.send('serving');
		await this.#until(() => this.#yours || this.#failed);
		this.#predecessor.letGo();
		if (!this.#failed) this.#taken?.announce?.();
		return !this.#failed;
	}

	fail(error: unknown): void {
		this.#failed = true;
		this.#predecessor.send('failed', (error as Error).message);
		this.#wake();
	}

	#inherit(): TakenAddress {
		if (this.#address.kind === 'pathname') return inheritPathname(this.#address, this.#options, this.#descriptor);
		if (this.#lockSocket !== undefined) return inheritAbstract(this.#address, this.#options, this.#lockSocket);
		return {reclaimed: false, giveBack: () => {}};
	}

	#hear({step, part, file}: Message, socket: object | undefined): void {
		if (step === 'socket' && part === 'lock') this.#lockSocket = socket;
		if (step === 'socket' && part === 'listener') {
			this.#listener = socket;
			this.#file = file;
		}
		if (step === 'yours') this.#yours = true;
		this.#wake();
	}

	async #until(holds: () => boolean): Promise<void> {
		while (!holds() && this.#predecessor.connected) {
			await new Promise<void>(resolve => {
				this.#wake = resolve;
			});
		}
	}
}

/** The predecessor and we do not mean the same. */
function cannotSucceed(address: Address, why: string): BindLockError {
	return new BindLockError(`Cannot take over ${printable(address.given)} from the server before: ${why}`, {
		code: 'ERR_HAND_OVER_FAILED',
		address: address.given,
	});
}
