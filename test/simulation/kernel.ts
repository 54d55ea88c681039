/**
 * A kernel small enough to be copied before every step: directory entries, inodes, descriptors,
 * flocks and sockets, with the answers that Linux gives (kernel.test.ts holds it to them).
 *
 * What is not `readonly` is replaced, never changed in place, so that a copy costs a few short arrays.
 */
import type {Bound, Contention, FileStatus} from '../../src/model/system.js';

export interface Inode {
	readonly type: 'file' | 'socket' | 'directory';
	readonly nlink: number;
	readonly content: string;
	/** Somebody's file that nobody here may change. */
	readonly precious: boolean;
}

export interface OpenFile {
	readonly kind: 'file';
	readonly ino: number;
	readonly lock: 'none' | 'shared' | 'exclusive';
	/** `O_PATH`: a reference that reads and locks nothing. */
	readonly pin: boolean;
}

export interface Socket {
	readonly kind: 'socket';
	/** 0 if its name is abstract. */
	readonly ino: number;
	/** As it was given to bind; an abstract name begins with a NUL. */
	readonly path: string;
	readonly listening: boolean;
	/** Connects are answered with EAGAIN. */
	readonly full: boolean;
}

export type Descriptor = OpenFile | Socket;

export interface ProcessTable {
	readonly descriptors: readonly (Descriptor | undefined)[];
	/** Killed: nobody sees its descriptors any more, and the kernel closes them one at a time. */
	readonly dying: boolean;
	/** Network namespace: /proc/net/unix shows only the sockets of one's own. */
	readonly network: number;
}

/** An error as `fs` throws it. */
export function failure(code: string): Error {
	return Object.assign(new Error(code), {code});
}

/** What no process may ever be answered: the script of calls is wrong, not the machine. */
export class Violation extends Error {}

export class Kernel {
	readonly paths: readonly string[];
	/** Inode by place in `paths`; 0: nothing there. */
	names: readonly number[];
	/** By number; the lowest free one is given out next, so that numbers come back as soon as they can. */
	inodes: readonly (Inode | undefined)[] = [undefined];
	processes: readonly ProcessTable[];

	/** Whether the access times of files are noted, as without `noatime`. */
	readonly notesAccess: boolean;

	constructor(paths: readonly string[], networks: readonly number[], notesAccess = true) {
		this.paths = paths;
		this.notesAccess = notesAccess;
		this.names = paths.map(() => 0);
		this.processes = networks.map(network => ({descriptors: [], dying: false, network}));
	}

	copy(): Kernel {
		const copy = new Kernel(this.paths, [], this.notesAccess);
		copy.names = this.names;
		copy.inodes = this.inodes;
		copy.processes = this.processes;
		return copy;
	}

	entry(path: string): number {
		const place = this.paths.indexOf(path);
		if (place === -1) throw new Violation(`${path} is no path of this scenario`);
		return this.names[place] ?? 0;
	}

	setEntry(path: string, ino: number): void {
		this.names = this.names.with(this.paths.indexOf(path), ino);
	}

	inode(ino: number): Inode {
		const inode = this.inodes[ino];
		if (inode === undefined) throw new Violation(`inode ${ino} is not there`);
		return inode;
	}

	setInode(ino: number, change: Partial<Inode>): void {
		this.inodes = this.inodes.with(ino, {...this.inode(ino), ...change});
	}

	/** A new file with one name. */
	create(path: string, inode: Partial<Inode> & Pick<Inode, 'type'>): number {
		const free = this.inodes.indexOf(undefined, 1);
		const ino = free === -1 ? this.inodes.length : free;
		const inodes = [...this.inodes];
		inodes[ino] = {nlink: 1, content: '', precious: false, ...inode};
		this.inodes = inodes;
		this.setEntry(path, ino);
		return ino;
	}

	/** Takes one name away; the inode goes when nothing refers to it. */
	removeEntry(path: string): void {
		const ino = this.entry(path);
		this.setEntry(path, 0);
		this.setInode(ino, {nlink: this.inode(ino).nlink - 1});
		this.#forget(ino);
	}

	#forget(ino: number): void {
		if (ino === 0 || this.inode(ino).nlink > 0 || this.allDescriptors().some(each => each.ino === ino)) return;
		this.inodes = this.inodes.with(ino, undefined);
	}

	allDescriptors(): Descriptor[] {
		return this.processes.flatMap(({descriptors}) => descriptors.filter(each => each !== undefined));
	}

	descriptor(pid: number, number: number): Descriptor {
		const found = this.processes[pid]?.descriptors[number];
		if (found === undefined) throw new Violation(`descriptor ${number} is used, and is not open`);
		return found;
	}

	/** Puts it at the lowest free number. */
	open(pid: number, descriptor: Descriptor): number {
		const {descriptors} = this.process(pid);
		const free = descriptors.indexOf(undefined);
		const number = free === -1 ? descriptors.length : free;
		this.setDescriptor(pid, number, descriptor);
		return number;
	}

	setDescriptor(pid: number, number: number, descriptor: Descriptor | undefined): void {
		const descriptors = [...this.process(pid).descriptors];
		descriptors[number] = descriptor;
		while (descriptors.length > 0 && descriptors.at(-1) === undefined) descriptors.pop();
		this.#setProcess(pid, {descriptors});
	}

	close(pid: number, number: number): void {
		const {ino} = this.descriptor(pid, number);
		this.setDescriptor(pid, number, undefined);
		this.#forget(ino);
	}

	process(pid: number): ProcessTable {
		const found = this.processes[pid];
		if (found === undefined) throw new Violation(`there is no process ${pid}`);
		return found;
	}

	#setProcess(pid: number, change: Partial<ProcessTable>): void {
		this.processes = this.processes.with(pid, {...this.process(pid), ...change});
	}

	/** SIGKILL: from now on the kernel closes what it had open, in any order. */
	kill(pid: number): void {
		this.#setProcess(pid, {dying: true});
	}

	status(ino: number): FileStatus {
		const {type, nlink, content} = this.inode(ino);
		return {dev: 1, ino, type, mode: 0o600, nlink, size: Buffer.byteLength(content), uid: 0};
	}

	contention(ino: number): Contention {
		for (const kind of ['exclusive', 'shared'] as const) {
			const pid = this.locker(ino, kind);
			if (pid !== undefined) return this.process(pid).dying ? {kind} : {kind, holder: someHolder};
		}
		return {kind: 'unseen'};
	}

	/** The process that has such a lock of this file. */
	locker(ino: number, lock: OpenFile['lock']): number | undefined {
		const has = (each: Descriptor | undefined): boolean =>
			each?.kind === 'file' && each.ino === ino && each.lock === lock;
		const pid = this.processes.findIndex(({descriptors}) => descriptors.some(has));
		return pid === -1 ? undefined : pid;
	}

	/** Whether a lock of this kind would be granted. */
	isFree(mine: OpenFile, lock: OpenFile['lock']): boolean {
		return !this.allDescriptors().some(
			other =>
				other !== mine &&
				other.kind === 'file' &&
				other.ino === mine.ino &&
				(other.lock === 'exclusive' || (other.lock === 'shared' && lock === 'exclusive')),
		);
	}

	/**
	 * As /proc/net/unix and `ss` show it: a socket that was bound to this path and has this file, in one's own network
	 * namespace.
	 *
	 * @param path `undefined`: to any path
	 */
	bound(pid: number, path: string | undefined, ino: number): Bound | undefined {
		return this.#owner(pid, socket => ino !== 0 && socket.ino === ino && (path === undefined || socket.path === path));
	}

	/** Who has one of these abstract names, in one's own network namespace. */
	boundAbstract(pid: number, names: readonly string[]): Bound | undefined {
		return this.#owner(pid, socket => names.includes(socket.path));
	}

	/** A process that dies has no descriptors that others could see: then nobody is named. */
	#owner(pid: number, isWanted: (socket: Socket) => boolean): Bound | undefined {
		const {network} = this.process(pid);
		for (const each of this.processes) {
			if (each.network !== network) continue;
			if (!each.descriptors.some(open => open?.kind === 'socket' && isWanted(open))) continue;
			return {isCertain: true, ...(each.dying ? {} : {holder: someHolder})};
		}
		return undefined;
	}

	/** Who has this socket file: `undefined` if its socket is gone. */
	boundSocket(ino: number): {readonly pid: number; readonly socket: Socket} | undefined {
		for (const [pid, {descriptors}] of this.processes.entries()) {
			const socket = descriptors.find(each => each?.kind === 'socket' && each.ino === ino);
			if (socket?.kind === 'socket') return {pid, socket};
		}
		return undefined;
	}
}

/** The protocol passes it on and never looks inside; one for all keeps equal states equal. */
export const someHolder = {pid: 7, uid: 0, command: 'server', since: undefined, verified: true} as const;
