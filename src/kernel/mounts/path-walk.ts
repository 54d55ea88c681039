/**
 * Looks at files of other processes without ever waiting for a filesystem that does not answer, as a FUSE program that
 * is stopped or an NFS server that is down: `stat` of a path on one cannot be interrupted.
 *
 * A path is walked one component at a time, each opened with `O_PATH` below the one before. That opens nothing and asks
 * the filesystem of the parent only, and the descriptor tells which mount it is on before anything more is asked. So
 * nobody who swaps directories, links or mounts meanwhile can lead the walk astray, as he could with a path that is
 * checked first and used afterwards.
 */
import {type BigIntStats, closeSync, constants, fstatSync, openSync, readlinkSync} from 'node:fs';
import {dirname} from 'node:path';
import {codeOf} from '../../model/errors.js';
import {isTrouble, linkOrUndefined, oPath} from '../procfs.js';
import {answers, mountOfText} from './mount-liveness.js';
import {type Mount, mountIdOf, mountsOf} from './mount-table.js';

export interface ReachOptions {
	/** Of mounts that are safe whatever their type, `major:minor` as {@link Mount.device}: the user has named them. */
	readonly devices?: readonly string[];
	/** Whether a symbolic link in the last part is followed; those before are. */
	readonly follow?: boolean;
}

/**
 * The path by which we reach what that process (`'self'`: this one) has at a path, without symbolic links.
 * Relative paths begin at its working directory.
 *
 * @returns also where nothing lies there; `undefined` if the path leads onto a mount that may hang, or cannot be followed
 */
export function reachable(pid: number | 'self', path: string, options: ReachOptions = {}): string | undefined {
	return withReached(pid, path, options, reached => reached.path);
}

/**
 * What lies there.
 *
 * @returns `undefined` if nothing does, or as {@link reachable}
 */
export function statReachable(pid: number | 'self', path: string, options: ReachOptions = {}): BigIntStats | undefined {
	return withReached(pid, path, options, ({descriptor}) =>
		descriptor === undefined ? undefined : fstatSync(descriptor, {bigint: true}),
	);
}

export interface Reached {
	/** Opened with `O_PATH`; absent if nothing lies there. */
	readonly descriptor?: number;
	readonly path: string;
}

/** Calls `use` with what lies there, if that is reachable; its descriptor is closed afterwards. */
export function withReached<Result>(
	pid: number | 'self',
	path: string,
	options: ReachOptions,
	use: (reached: Reached) => Result,
): Result | undefined {
	if (oPath === undefined) return undefined;
	const walk = new Walk(pid, options.devices ?? []);
	try {
		const reached = walk.to(path, options.follow ?? true);
		return reached === undefined ? undefined : use(reached);
	} catch (error) {
		if (isTrouble(error)) throw error;
		return undefined;
	} finally {
		walk.close();
	}
}

/** What has that name in a directory that was reached, unless it is a mount point. A symbolic link is not followed. */
export function statInside(directory: number, name: Buffer): BigIntStats | undefined {
	let descriptor: number | undefined;
	try {
		const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
		descriptor = openSync(path, (oPath ?? 0) | constants.O_NOFOLLOW);
		return mountIdOf(descriptor) === mountIdOf(directory) ? fstatSync(descriptor, {bigint: true}) : undefined;
	} catch (error) {
		if (isTrouble(error)) throw error;
		return undefined;
	} finally {
		if (descriptor !== undefined) closeSync(descriptor);
	}
}

/** As the kernel (`path_resolution(7)`). */
const maxLinks = 40;

/** Of one walk, so that a stranger's links cost nobody more. */
const maxSteps = 1000;

interface Place {
	readonly descriptor: number;
	readonly mount: Mount;
	readonly isLink: boolean;
}

interface Base extends Place {
	readonly path: string;
	/** Of the process: `..` does not lead out of it. */
	readonly isRoot: boolean;
}

class Walk {
	readonly #pid: number | 'self';
	readonly #devices: readonly string[];
	/** Where the names begin. */
	#base: Base | undefined;
	#names: string[] = [];
	/** Where they end, if there are any. */
	#end: Place | undefined;

	constructor(pid: number | 'self', devices: readonly string[]) {
		this.#pid = pid;
		this.#devices = devices;
	}

	to(path: string, follow: boolean): Reached | undefined {
		const rest: string[] = [];
		if (!this.#begin(path, rest)) return undefined;
		for (let steps = 0, links = 0; rest.length > 0; steps++) {
			if (steps === maxSteps) return undefined;
			const name = rest.pop() ?? '';
			if (name === '' || name === '.') continue;
			if (name === '..') {
				if (!this.#up(rest)) return undefined;
				continue;
			}
			const next = this.#open(`${this.#here}/${name}`, constants.O_NOFOLLOW);
			if (next === 'missing') return {path: [this.#path, name, ...rest.reverse()].join('/')};
			if (next === undefined) return undefined;
			if (next.isLink && (follow || rest.length > 0)) {
				closeSync(next.descriptor);
				if (++links > maxLinks || !this.#follow(name, next.mount, rest)) return undefined;
			} else {
				this.#leaveEnd();
				this.#names.push(name);
				this.#end = next;
			}
		}
		return this.#at && {descriptor: this.#at.descriptor, path: this.#path || '/'};
	}

	close(): void {
		this.#leaveEnd();
		if (this.#base !== undefined) closeSync(this.#base.descriptor);
		this.#base = undefined;
	}

	#leaveEnd(): void {
		if (this.#end !== undefined) closeSync(this.#end.descriptor);
		this.#end = undefined;
	}

	get #at(): Place | undefined {
		return this.#end ?? this.#base;
	}

	/** By which the kernel goes on from where we are. */
	get #here(): string {
		return `/proc/self/fd/${this.#at?.descriptor}`;
	}

	get #path(): string {
		return [this.#base?.path, ...this.#names].join('/');
	}

	#begin(path: string, rest: string[]): boolean {
		const of = `/proc/${this.#pid}`;
		// Names by which each process reaches its own, as long paths are bound through a directory's descriptor.
		const own = /^\/(?:proc\/(?:thread-)?self|dev(?=\/fd\/))(\/.*)$/s.exec(path)?.[1];
		rest.push(...(own ?? path).split('/').reverse());
		if (own !== undefined) return this.#jump(of, of, false);
		if (!path.startsWith('/')) return this.#jump(`${of}/cwd`, `${of}/cwd`, false);
		return this.#toRoot();
	}

	#toRoot(): boolean {
		return this.#pid === 'self'
			? this.#jump('/', '', true)
			: this.#jump(`/proc/${this.#pid}/root`, `/proc/${this.#pid}/root`, true);
	}

	/** Goes where the kernel leads by itself: a root, or a link in /proc that is no text. */
	#jump(link: string, path: string, isRoot: boolean): boolean {
		const text = linkOrUndefined(link);
		// Such a link into NFS asks its server even with O_PATH (`d_weak_revalidate`).
		if (text !== undefined && !this.#seemsSafe(text)) return false;
		const place = this.#open(link, 0);
		if (place === 'missing' || place === undefined) return false;
		this.close();
		this.#base = {...place, path, isRoot};
		this.#names = [];
		return true;
	}

	#follow(name: string, mount: Mount, rest: string[]): boolean {
		const link = `${this.#here}/${name}`;
		const text = readlinkSync(link);
		const isAbsolute = text.startsWith('/');
		if (mount.type === 'proc' && isAbsolute) return this.#jump(link, `${this.#path}/${name}`, false);
		rest.push(...text.split('/').reverse());
		return !isAbsolute || this.#toRoot();
	}

	/** The names so far are no links, so that the parent of the last is the one before. */
	#up(rest: string[]): boolean {
		if (this.#names.length > 0) {
			this.#leaveEnd();
			rest.push(...this.#names.splice(0).slice(0, -1).reverse());
			return true;
		}
		if (this.#base?.isRoot) return true;
		const text = linkOrUndefined(this.#here) ?? '';
		return this.#seemsSafe(dirname(text)) && this.#jump(`${this.#here}/..`, `${this.#base?.path}/..`, false);
	}

	/** `undefined`: on a mount that may hang; `'missing'`: nothing, or not to be looked at. */
	#open(path: string, flags: number): Place | 'missing' | undefined {
		let descriptor: number;
		try {
			descriptor = openSync(path, (oPath ?? 0) | flags);
		} catch (error) {
			if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(codeOf(error))) return 'missing';
			throw error;
		}
		let kept = false;
		try {
			const mount = this.#mountOf(descriptor);
			if (mount === undefined || !answers(mount, this.#devices)) return undefined;
			const place = {descriptor, mount, isLink: fstatSync(descriptor).isSymbolicLink()};
			kept = true;
			return place;
		} finally {
			if (!kept) closeSync(descriptor);
		}
	}

	/** The lists are read while the descriptor keeps its mount, so that the id is of no other. */
	#mountOf(descriptor: number): Mount | undefined {
		const id = mountIdOf(descriptor);
		if (id === this.#at?.mount.id) return this.#at?.mount;
		const find = (pid: number | 'self'): Mount | undefined => mountsOf(pid).find(mount => mount.id === id);
		// That of a process with another root leaves out what is outside of it.
		return find(this.#pid) ?? (this.#pid === 'self' ? undefined : find('self'));
	}

	/** By its text alone. Of a process in another mount namespace that is a path in there. */
	#seemsSafe(path: string): boolean {
		const isElsewhere = linkOrUndefined(`/proc/${this.#pid}/ns/mnt`) !== linkOrUndefined('/proc/self/ns/mnt');
		const mount = mountOfText(path, mountsOf(isElsewhere ? this.#pid : 'self'));
		return mount === undefined || answers(mount, this.#devices);
	}
}
