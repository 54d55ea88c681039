/**
 * The last resort for telling whether a socket is bound to a file: connecting, and looking at the access time.
 *
 * A refused connection alone does not mean that the socket is dead: it may be bound and not listen yet. connect(2) looks
 * up the socket by the inode of the file. If it finds one of the same type, it updates the access time of the file, and
 * only then checks whether that socket listens (`unix_find_bsd` in net/unix/af_unix.c). So if a refused connect has not
 * changed the access time, no stream socket is bound to the inode, in any network namespace and under any name. This is
 * one step of the kernel, unlike every lookup in its tables. Measured on ext2, ext4, xfs, btrfs, tmpfs and overlay. It
 * does not work on mounts with `noatime`, nor on FUSE.
 */
import {type BigIntStats, chownSync, fstatSync} from 'node:fs';
import type {Socket} from 'node:net';
import {maxNameBytes} from '../../model/address.js';
import {codeOf} from '../../model/errors.js';
import {pause} from '../deadline.js';
import {mountOfDescriptor} from '../mounts/mount-table.js';

/**
 * Connects to a socket file and disconnects, as of `System.connect`.
 *
 * @param pinned descriptor of the file, opened with `O_PATH`
 * @throws the signal's reason
 */
export async function probe(
	path: string,
	pinned: number | undefined,
	signal: AbortSignal | undefined,
	attempt: ConnectAttempt | undefined,
): Promise<string> {
	const before = pinned === undefined ? undefined : await expectAccess(pinned, signal);
	const answer = await connectOnce(path, pinned, signal, attempt);
	if (answer !== 'ECONNREFUSED' || process.platform !== 'linux') return answer;
	const accessed = pinned === undefined || before === undefined ? undefined : wasAccessed(pinned, before);
	if (accessed === undefined) return 'UNPROVED';
	return accessed ? 'BOUND' : answer;
}

/** The objects of a connection that is not begun yet and has no descriptor. */
export interface ConnectAttempt {
	readonly socket: Socket;
	/** `'CONNECTED'`, or the code of the error. */
	readonly answer: Promise<string>;
}

/** Prepares a connection where its latency matters: creating these objects is half of its cost. */
export function prepareConnect(): ConnectAttempt {
	const socket = new (process.getBuiltinModule('node:net').Socket)();
	const answer = new Promise<string>(resolve => {
		socket.on('connect', () => resolve('CONNECTED')).on('error', error => resolve(codeOf(error)));
	});
	return {socket, answer};
}

/**
 * Connects and disconnects.
 *
 * @param attempt can be used once
 * @returns `'CONNECTED'`, or the code of the error
 * @throws the signal's reason
 */
export async function connectOnce(
	path: string,
	pinned?: number,
	signal?: AbortSignal,
	attempt: ConnectAttempt = prepareConnect(),
): Promise<string> {
	if (pinned !== undefined) {
		// Through the pin this very inode answers, and the length of the path does not matter.
		const answer = await tryConnect(`/proc/self/fd/${pinned}`, signal, attempt).catch(refuseUnlessDenied);
		// ENOENT: /proc is not mounted, or Deno may not use it. The inode itself exists as long as the pin.
		if (answer !== 'ENOENT') return answer;
	}
	// Node 20 and 22 would truncate it, and connect to another address.
	if (Buffer.byteLength(path) > maxNameBytes) return 'ENAMETOOLONG';
	return tryConnect(path, signal, pinned === undefined ? attempt : prepareConnect());
}

function refuseUnlessDenied(error: unknown): 'ENOENT' {
	if (codeOf(error) === 'ERR_ACCESS_DENIED') return 'ENOENT';
	throw error;
}

/** The answer comes at once: libuv's sockets do not block, so a full backlog is EAGAIN (`connect(2)`). */
async function tryConnect(
	path: string,
	signal: AbortSignal | undefined,
	{socket, answer}: ConnectAttempt,
): Promise<string> {
	try {
		socket.connect({path});
		const code = await answer;
		signal?.throwIfAborted();
		return code;
	} finally {
		socket.destroy();
	}
}

/** The times of a file in nanoseconds since the epoch. */
type FileTimes = Pick<BigIntStats, 'atimeNs' | 'mtimeNs'>;

/** Filesystems on which the access time was measured to work, or that share their code with one. */
const measuredTypes: readonly string[] = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'tmpfs', 'overlay'];

/** Longer than a tick of the kernel's clock for file times, which is 10 ms at most. */
const tickMs = 20;

/** An owner or group that stays as it is (`chown(2)`). */
const unchanged = -1;

/**
 * Makes sure that the kernel records the next access. With `relatime` it does so if the file has changed since the last
 * access. So this sets the change time, by a chown(2) that changes nothing and that every user may call.
 *
 * @param descriptor opened with `O_PATH`
 * @returns the times before; `undefined` if the filesystem does not record accesses
 * @throws the signal's reason
 */
export async function expectAccess(descriptor: number, signal?: AbortSignal): Promise<FileTimes | undefined> {
	try {
		const mount = mountOfDescriptor(descriptor);
		if (mount === undefined || !measuredTypes.includes(mount.type) || mount.options.includes('noatime')) {
			return undefined;
		}
		const times = fstatSync(descriptor, {bigint: true});
		const {atimeNs} = times;
		// An access within the same tick as the last one leaves no trace. Some filesystems keep whole seconds.
		const resolutionMs = atimeNs % 1_000_000_000n === 0n ? 1000 : tickMs;
		const ageMs = Date.now() - Number(atimeNs / 1_000_000n);
		if (ageMs < 0) return undefined;
		if (ageMs < resolutionMs) await pause(resolutionMs - ageMs, signal);
		chownSync(`/proc/self/fd/${descriptor}`, unchanged, unchanged);
		return times;
	} catch {
		signal?.throwIfAborted();
		return undefined;
	}
}

/**
 * Whether the file was accessed since.
 *
 * @returns `undefined` if another process has set its times meanwhile: a user with write permission, as each client has,
 * can set both times to now, and nothing else (`utimensat(2)`)
 */
export function wasAccessed(descriptor: number, before: FileTimes): boolean | undefined {
	const {atimeNs, mtimeNs} = fstatSync(descriptor, {bigint: true});
	if (mtimeNs !== before.mtimeNs) return undefined;
	return atimeNs !== before.atimeNs;
}
