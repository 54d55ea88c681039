/**
 * The successor's side of a hand-over: it gets the lock and the listening socket from its predecessor, instead of taking
 * and binding them.
 */
import {NodeSystem} from '../kernel/node-system.js';
import {inheritAbstractLock} from '../lock/abstract-lock.js';
import type {AddressLock} from '../lock/address-lock.js';
import {inheritFlockLock} from '../lock/flock-lock.js';
import {type Address, keyOf} from '../model/address.js';
import {BindLockError} from '../model/errors.js';
import {isSameFile} from '../model/file-identity.js';
import type {AcquireOptions} from '../model/options.js';
import type {FileStatus, Listener} from '../model/system.js';
import {printable} from '../model/text.js';
import type {InheritedSocket} from '../server/socket-transfer.js';
import {inheritedLock, type Message, PredecessorChannel} from './channel.js';

/** A lock and a listening socket that the predecessor hands over. */
interface Inheritance extends InheritedSocket {
	readonly lock: AddressLock;
}

/**
 * Receives what the predecessor of this process hands over for an address.
 *
 * @returns `undefined` if this process is not a successor at this address, or if its predecessor has exited: then the
 * address is taken as usual
 * @throws BindLockError `ERR_LOCK_LOST`
 */
export async function receiveInheritance(address: Address, options: AcquireOptions): Promise<Inheritance | undefined> {
	const inherited = inheritedLock(keyOf(address));
	if (inherited === undefined) return undefined;
	const handOver = new IncomingHandOver(address);
	const listener = await handOver.receive();
	let lock: AddressLock | undefined;
	try {
		lock = handOver.inheritLock(options, inherited.descriptor);
	} catch (error) {
		handOver.refuse(error);
		if (listener !== undefined) throw error;
	}
	if (lock !== undefined && listener !== undefined) return handOver.toInheritance(lock, listener);
	// The predecessor has exited, and its server with it.
	lock?.shareable?.leave();
	return undefined;
}

class IncomingHandOver {
	readonly #address: Address;
	readonly #channel: PredecessorChannel;
	#listener: Listener | undefined;
	#lockSocket: Listener | undefined;
	#file: Message['file'];
	#isPassed = false;
	#state: 'open' | 'finished' | 'failed' = 'open';
	#wake: () => void = () => {};

	constructor(address: Address) {
		this.#address = address;
		this.#channel = new PredecessorChannel(
			keyOf(address),
			(message, socket) => this.#hear(message, socket),
			() => this.#wake(),
		);
	}

	/** Asks for the sockets. @returns the listening socket; `undefined` if the predecessor has exited */
	async receive(): Promise<Listener | undefined> {
		this.#channel.send('ready');
		await this.#until(() => this.#listener !== undefined);
		return this.#listener;
	}

	/** @returns `undefined` if the predecessor has exited before it sent the socket of an abstract lock */
	inheritLock(options: AcquireOptions, descriptor: number | undefined): AddressLock | undefined {
		if (this.#address.kind === 'abstract') {
			return this.#lockSocket && inheritAbstractLock(options, this.#lockSocket);
		}
		return descriptor === undefined ? undefined : inheritFlockLock(this.#address, options, descriptor);
	}

	/** The lock cannot be adopted. An open socket would stay bound, once the predecessor has exited. */
	refuse(error: unknown): void {
		this.fail(error);
		if (this.#listener !== undefined) new NodeSystem(this.#address.given).closeListener(this.#listener);
	}

	toInheritance(lock: AddressLock, listener: Listener): Inheritance {
		return {
			lock,
			listener,
			isPassed: this.#isPassed,
			checkFile: found => this.#checkFile(found),
			complete: () => this.#complete(lock),
			fail: error => this.fail(error),
		};
	}

	#checkFile(found: FileStatus | undefined): void {
		if (this.#address.kind === 'abstract') return;
		const bound = this.#file && {dev: BigInt(this.#file.dev), ino: BigInt(this.#file.ino)};
		if (bound !== undefined && isSameFile(found, bound)) return;
		throw new BindLockError(
			`Cannot take over ${printable(this.#address.given)} from the previous server: the socket file is not the one that it bound`,
			{code: 'ERR_HAND_OVER_FAILED', address: this.#address.given},
		);
	}

	/** The predecessor has stopped when it says so, or when it has exited. */
	async #complete(lock: AddressLock): Promise<boolean> {
		this.#channel.send('serving');
		await this.#until(() => this.#state !== 'open');
		if (this.#state === 'open') await this.#channel.predecessorStopped();
		this.#channel.unref();
		if (this.#state === 'failed') return false;
		lock.shareable?.announce();
		return true;
	}

	fail(error: unknown): void {
		this.#state = 'failed';
		this.#channel.send('failed', (error as Error).message);
		this.#wake();
	}

	#hear({step, part, file, isPassed = false}: Message, socket: object | undefined): void {
		if (step === 'socket' && part === 'lock') this.#lockSocket = socket;
		if (step === 'socket' && part === 'listener') {
			this.#listener = socket;
			this.#file = file;
			this.#isPassed = isPassed;
		}
		if (step === 'yours' && this.#state === 'open') this.#state = 'finished';
		this.#wake();
	}

	async #until(holds: () => boolean): Promise<void> {
		while (!holds() && this.#channel.connected) {
			await new Promise<void>(resolve => {
				this.#wake = resolve;
			});
		}
	}
}
