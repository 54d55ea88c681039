/**
 * An address that `bindlock run --listen` holds: its lock, and a socket that listens and accepts nothing here.
 */
import {basename} from 'node:path';
import {type BoundDescriptor, closeUnused} from '../../kernel/sockets/bound-descriptor.js';
import {listenApart} from '../../kernel/sockets/listen-apart.js';
import type {AddressLock, Heir} from '../../lock/address-lock.js';
import {Loss} from '../../lock/loss.js';
import type {Address, PathnameAddress} from '../../model/address.js';
import type {BindLockError} from '../../model/errors.js';
import type {AcquireOptions} from '../../model/options.js';
import {FileGuard} from '../../server/file-guard.js';
import {SocketFile} from '../../server/socket-file.js';
import type {ListeningOptions} from './run-options.js';

export class HeldSocket {
	readonly #address: Address;
	readonly #options: AcquireOptions;
	readonly #backlog: number;
	readonly #lock: AddressLock;
	readonly #file: SocketFile;
	readonly #closed = new AbortController();
	#bound: BoundDescriptor | undefined;
	#guard: FileGuard | undefined;

	/** @param options with which the lock was taken */
	constructor(
		address: Address,
		options: AcquireOptions,
		{permissions, backlog}: Pick<ListeningOptions, 'permissions' | 'backlog'>,
		lock: AddressLock,
	) {
		this.#address = address;
		this.#options = options;
		this.#backlog = backlog;
		this.#lock = lock;
		this.#file = new SocketFile(address, permissions);
	}

	/** The listening socket. */
	get descriptor(): number {
		return this.#bound?.descriptor as number;
	}

	get lockDescriptor(): number {
		return this.#lock.shareable?.descriptor as number;
	}

	/** A name for `LISTEN_FDNAMES`: printable ASCII without colons, at most 255 characters (sd_listen_fds(3)). */
	get name(): string {
		const {kind} = this.#address;
		const name = kind === 'abstract' ? this.#address.name : basename(this.#address.path);
		return name.replace(/[^!-9;-~]/g, '_').slice(0, 255);
	}

	/** Binds and listens. Clients wait in the backlog until the command accepts them. */
	async bind(): Promise<void> {
		// Only worker threads and other runtimes bind no socket apart.
		const bound = this.#file.bind() as BoundDescriptor;
		try {
			await listenApart(bound, this.#backlog);
		} catch (error) {
			this.#file.abandon(bound);
			throw error;
		}
		this.#bound = bound;
	}

	announce(heir: Heir): void {
		const {kind} = this.#address;
		this.#lock.shareable?.announce(kind === 'abstract' ? {...heir, fd: undefined} : heir);
	}

	/**
	 * Watches both files, and makes them again if another program removes or replaces them.
	 *
	 * @param onHealed is called when both are in place again: the command needs the new socket and the new lock
	 */
	guard(onHealed: () => void, onLost: (reason: BindLockError) => void): void {
		const address = this.#address;
		if (address.kind === 'abstract') return;
		const loss = new Loss();
		loss.onReport(onLost);
		this.#guard = new FileGuard({
			address,
			lockFile: this.#lock.file,
			isBound: () => this.#file.isInPlace(),
			rebind: () => this.#rebind(address),
			heals: true,
			loss,
			onHealed: () => {
				if (this.#isLockInPlace() && this.#file.isInPlace()) onHealed();
			},
			onLost: () => {},
		});
	}

	async #rebind(address: PathnameAddress): Promise<void> {
		const old = this.#bound;
		const {signal} = this.#closed;
		await this.#file.reclaimPath(address, this.#options, old?.descriptor, signal, () => this.#isLockInPlace());
		await this.bind();
		// The older processes of the command have it as well.
		if (old !== undefined) closeUnused(old);
	}

	#isLockInPlace(): boolean {
		return this.#lock.file?.isInPlace() ?? true;
	}

	/** Unlinks and closes the socket. */
	close(): void {
		this.#guard?.stop();
		this.#closed.abort();
		if (this.#bound !== undefined) this.#file.abandon(this.#bound);
		this.#bound = undefined;
	}

	/** Releases the lock. To be called after {@link close}. */
	release(): void {
		this.#lock.release();
	}
}
