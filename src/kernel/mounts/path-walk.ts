/**
 * Resolves a path of another process without calling a filesystem that may hang, such as a FUSE program that is stopped
 * or an NFS server that is down: a `stat` there cannot be interrupted.
 *
 * The path is walked one component at a time, each opened with `O_PATH` below the one before. That opens no file and
 * calls only the filesystem of the parent, and the descriptor shows its mount before anything else is read. There is no
 * TOCTOU race: another user who swaps directories, links or mounts meanwhile cannot lead the walk onto an unsafe mount.
 */
import {closeSync, constants, fstatSync, openSync, readlinkSync} from 'node:fs';
import {dirname} from 'node:path';
import {codeOf} from '../../model/errors.js';
import {oPath} from '../files/opening.js';
import {linkOrUndefined} from '../proc/procfs.js';
import {isSafe, mountOfText} from './hanging-mounts.js';
import {type Mount, mountIdOf, mountsOf} from './mount-table.js';

export interface Reached {
	/** Opened with `O_PATH`; absent if no file is there. */
	readonly descriptor?: number;
	readonly path: string;
}

/** As the kernel's limit (`path_resolution(7)`). */
const maxLinks = 40;

/** Limits the cost of links that another user has made. */
const maxSteps = 1000;

interface Component {
	readonly descriptor: number;
	readonly mount: Mount;
	readonly isLink: boolean;
}

interface Base extends Component {
	readonly path: string;
	/** Whether it is the root of the process: `..` does not lead out of it. */
	readonly isRoot: boolean;
}

export class PathWalk {
	readonly #pid: number | 'self';
	readonly #devices: readonly string[];
	/** The directory where the names begin. */
	#base: Base | undefined;
	/** The components since then; none is a symbolic link. */
	#names: string[] = [];
	/** The last of them. */
	#last: Component | undefined;

	/** @param devices of mounts that count as safe whatever their type */
	constructor(pid: number | 'self', devices: readonly string[]) {
		this.#pid = pid;
		this.#devices = devices;
	}

	/** @returns `undefined` if the path leads onto a mount that may hang, or cannot be resolved */
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
				this.#closeLast();
				this.#names.push(name);
				this.#last = next;
			}
		}
		return this.#at && {descriptor: this.#at.descriptor, path: this.#path || '/'};
	}

	close(): void {
		this.#closeLast();
		if (this.#base !== undefined) closeSync(this.#base.descriptor);
		this.#base = undefined;
	}

	#closeLast(): void {
		if (this.#last !== undefined) closeSync(this.#last.descriptor);
		this.#last = undefined;
	}

	get #at(): Component | undefined {
		return this.#last ?? this.#base;
	}

	/** The directory reached so far, as the kernel resolves it without a walk. */
	get #here(): string {
		return `/proc/self/fd/${this.#at?.descriptor}`;
	}

	get #path(): string {
		return [this.#base?.path, ...this.#names].join('/');
	}

	#begin(path: string, rest: string[]): boolean {
		const process = `/proc/${this.#pid}`;
		// Paths that mean something else in each process. Servers use them to bind long paths through a descriptor.
		const own = /^\/(?:proc\/(?:thread-)?self|dev(?=\/fd\/))(\/.*)$/s.exec(path)?.[1];
		rest.push(...(own ?? path).split('/').reverse());
		if (own !== undefined) return this.#jump(process, process, false);
		if (!path.startsWith('/')) return this.#jump(`${process}/cwd`, `${process}/cwd`, false);
		return this.#toRoot();
	}

	#toRoot(): boolean {
		return this.#pid === 'self'
			? this.#jump('/', '', true)
			: this.#jump(`/proc/${this.#pid}/root`, `/proc/${this.#pid}/root`, true);
	}

	/** Goes where the kernel leads without text: to a root, or through a magic link of /proc. */
	#jump(link: string, path: string, isRoot: boolean): boolean {
		const text = linkOrUndefined(link);
		// A magic link into NFS calls its server even with O_PATH (`d_weak_revalidate`).
		if (text !== undefined && !this.#seemsSafe(text)) return false;
		const component = this.#open(link, 0);
		if (component === 'missing' || component === undefined) return false;
		this.close();
		this.#base = {...component, path, isRoot};
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

	/** Goes to the parent. As no name is a link, the parent of the last one is the name before it. */
	#up(rest: string[]): boolean {
		if (this.#names.length > 0) {
			this.#closeLast();
			rest.push(...this.#names.splice(0).slice(0, -1).reverse());
			return true;
		}
		if (this.#base?.isRoot) return true;
		const text = linkOrUndefined(this.#here) ?? '';
		return this.#seemsSafe(dirname(text)) && this.#jump(`${this.#here}/..`, `${this.#base?.path}/..`, false);
	}

	/** @returns `undefined` if it is on a mount that may hang; `'missing'` if there is no file, or no permission */
	#open(path: string, flags: number): Component | 'missing' | undefined {
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
			if (mount === undefined || !isSafe(mount, this.#devices)) return undefined;
			const component = {descriptor, mount, isLink: fstatSync(descriptor).isSymbolicLink()};
			kept = true;
			return component;
		} finally {
			if (!kept) closeSync(descriptor);
		}
	}

	/** The list is read while the descriptor keeps its mount, so the id cannot have been reused. */
	#mountOf(descriptor: number): Mount | undefined {
		const id = mountIdOf(descriptor);
		if (id === this.#at?.mount.id) return this.#at?.mount;
		const find = (pid: number | 'self'): Mount | undefined => mountsOf(pid).find(mount => mount.id === id);
		// The list of a process with another root lacks the mounts outside of it.
		return find(this.#pid) ?? (this.#pid === 'self' ? undefined : find('self'));
	}

	/** Checks a path by its text alone. A process in another mount namespace has its own mounts at its paths. */
	#seemsSafe(path: string): boolean {
		const isElsewhere = linkOrUndefined(`/proc/${this.#pid}/ns/mnt`) !== linkOrUndefined('/proc/self/ns/mnt');
		const mount = mountOfText(path, mountsOf(isElsewhere ? this.#pid : 'self'));
		return mount === undefined || isSafe(mount, this.#devices);
	}
}
