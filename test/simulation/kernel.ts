/**
 * A simulated kernel: directory entries, inodes, descriptors, flocks and sockets, with the results of Linux
 * (verified by kernel.test.ts).
 *
 * It is copied before every step. Fields that are not `readonly` are replaced, never modified in place, so a copy
 * costs only a few short arrays.
 */
import type {FileIdentity} from '../../src/model/file-identity.js';
import type {Bound, Contention, FileStatus} from '../../src/model/system.js';

export interface Inode {
	readonly type: 'file' | 'socket' | 'directory';
	readonly nlink: number;
	readonly content: string;
	/** A user's file, which no process may change or remove. */
	readonly precious: boolean;
}

/** An open file description with several descriptors, which fork(2) and SCM_RIGHTS make. */
interface Shared {
	/** Identifies the description; absent if this is its only descriptor. */
	readonly description?: number;
}

export interface OpenFile extends Shared {
	readonly kind: 'file';
	readonly ino: number;
	readonly lock: 'none' | 'shared' | 'exclusive';
	/** `O_PATH`: the descriptor pins the inode, but cannot read or lock. */
	readonly pin: boolean;
}

export interface Socket extends Shared {
	readonly kind: 'socket';
	/** 0 for an abstract name. */
	readonly ino: number;
	/** The address as passed to bind(2). An abstract name begins with a NUL. */
	readonly path: string;
	readonly listening: boolean;
	/** The backlog is full: connect(2) fails with EAGAIN. */
	readonly full: boolean;
}

export type Descriptor = OpenFile | Socket;

/** A message on the channel between a predecessor and its successor. */
export interface Message {
	readonly step: 'ready' | 'socket' | 'serving' | 'failed' | 'yours';
	/** With `socket`: the socket file. */
	readonly file?: FileIdentity;
}

/** A message that was not read yet. */
export interface Mail {
	readonly from: number;
	readonly message: Message;
	/** The receiver's number of the descriptor that came with it. */
	readonly descriptor?: number;
}

export interface ProcessTable {
	readonly descriptors: readonly (Descriptor | undefined)[];
	/** Killed: other processes no longer see its descriptors, which the kernel closes one at a time. */
	readonly dying: boolean;
	/** Network namespace: /proc/net/unix shows only the sockets of the reader's namespace. */
	readonly network: number;
	readonly mail: readonly Mail[];
	/** The process that forked it, if one did. */
	readonly parent?: number;
}

/** Makes an error like those of `fs`. */
export function failure(code: string): Error {
	return Object.assign(new Error(code), {code});
}

/** A broken invariant, or a call that the simulation must never see. */
export class Violation extends Error {}

export class Kernel {
	readonly paths: readonly string[];
	/** Inode numbers, by index in `paths`; 0: no entry. */
	names: readonly number[];
	/** By number. The lowest free number is reused first, so reuse occurs as early as possible. */
	inodes: readonly (Inode | undefined)[] = [undefined];
	processes: readonly ProcessTable[];

	/** Whether the mount records access times (no `noatime`). */
	readonly notesAccess: boolean;

	constructor(paths: readonly string[], networks: readonly number[], notesAccess = true) {
		this.paths = paths;
		this.notesAccess = notesAccess;
		this.names = paths.map(() => 0);
		this.processes = networks.map(network => ({descriptors: [], dying: false, network, mail: []}));
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

	/** Creates a file with one name. */
	create(path: string, inode: Partial<Inode> & Pick<Inode, 'type'>): number {
		const free = this.inodes.indexOf(undefined, 1);
		const ino = free === -1 ? this.inodes.length : free;
		const inodes = [...this.inodes];
		inodes[ino] = {nlink: 1, content: '', precious: false, ...inode};
		this.inodes = inodes;
		this.setEntry(path, ino);
		return ino;
	}

	/** Removes one name. Frees the inode when nothing refers to it. */
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

	/** Opens at the lowest free number. */
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

	/** Changes the open file description, which all of its descriptors show. */
	setDescription(pid: number, number: number, descriptor: Descriptor): void {
		const {description} = descriptor;
		if (description === undefined) this.setDescriptor(pid, number, descriptor);
		else for (const [sharer, place] of this.#sharers(description)) this.setDescriptor(sharer, place, descriptor);
	}

	/** Gives another process a descriptor of the same open file description. */
	share(pid: number, number: number, heir: number): number {
		const mine = this.descriptor(pid, number);
		const taken = new Set(this.allDescriptors().map(({description}) => description));
		let free = 1;
		while (taken.has(free)) free++;
		const shared = {...mine, description: mine.description ?? free};
		this.setDescriptor(pid, number, shared);
		return this.open(heir, shared);
	}

	/** Closes a descriptor. Its open file description, with lock and socket, is gone with the last one. */
	close(pid: number, number: number): void {
		const {ino, description} = this.descriptor(pid, number);
		this.setDescriptor(pid, number, undefined);
		this.#forget(ino);
		if (description === undefined) return;
		const [last, ...more] = this.#sharers(description);
		if (last === undefined || more.length > 0) return;
		const {description: _, ...alone} = this.descriptor(...last);
		this.setDescriptor(...last, alone as Descriptor);
	}

	#sharers(description: number): (readonly [pid: number, number: number])[] {
		return this.processes.flatMap(({descriptors}, pid) =>
			[...descriptors.keys()].filter(at => descriptors[at]?.description === description).map(at => [pid, at] as const),
		);
	}

	process(pid: number): ProcessTable {
		const found = this.processes[pid];
		if (found === undefined) throw new Violation(`there is no process ${pid}`);
		return found;
	}

	#setProcess(pid: number, change: Partial<ProcessTable>): void {
		this.processes = this.processes.with(pid, {...this.process(pid), ...change});
	}

	/** SIGKILL. The kernel then closes the descriptors in any order. */
	kill(pid: number): void {
		this.#setProcess(pid, {dying: true, mail: []});
	}

	/** Starts a process that inherits these descriptors. */
	fork(parent: number, child: number, descriptors: readonly number[]): void {
		if (this.process(child).parent !== undefined) throw new Violation(`process ${child} is forked twice`);
		this.#setProcess(child, {parent});
		for (const number of descriptors) this.share(parent, number, child);
	}

	/** A process that was killed reads nothing. */
	send(mail: Mail, to: number): void {
		if (!this.process(to).dying) this.#setProcess(to, {mail: [...this.process(to).mail, mail]});
	}

	/** Takes the oldest message of a process. */
	receive(pid: number, from: number): Mail | undefined {
		const {mail} = this.process(pid);
		const oldest = mail.find(each => each.from === from);
		if (oldest !== undefined) this.#setProcess(pid, {mail: mail.filter(each => each !== oldest)});
		return oldest;
	}

	/** Forgets what a process that has exited has sent. */
	forgetMail(pid: number, from: number): void {
		this.#setProcess(pid, {mail: this.process(pid).mail.filter(each => each.from !== from)});
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

	/** Returns a process that holds such a lock on the file, if possible one that lives. */
	locker(ino: number, lock: OpenFile['lock']): number | undefined {
		const has = (each: Descriptor | undefined): boolean =>
			each?.kind === 'file' && each.ino === ino && each.lock === lock;
		const pids = [...this.processes.keys()].filter(pid => this.process(pid).descriptors.some(has));
		return pids.find(pid => !this.process(pid).dying) ?? pids[0];
	}

	/** Returns whether a lock of this kind would be granted. */
	isFree(mine: OpenFile, lock: OpenFile['lock']): boolean {
		return !this.allDescriptors().some(
			other =>
				other !== mine &&
				(mine.description === undefined || other.description !== mine.description) &&
				other.kind === 'file' &&
				other.ino === mine.ino &&
				(other.lock === 'exclusive' || (other.lock === 'shared' && lock === 'exclusive')),
		);
	}

	/**
	 * Returns the socket bound to this path with this file, as /proc/net/unix and `ss` show it in the network namespace
	 * of the process.
	 *
	 * @param path `undefined`: any path
	 */
	bound(pid: number, path: string | undefined, ino: number): Bound | undefined {
		return this.#owner(pid, socket => ino !== 0 && socket.ino === ino && (path === undefined || socket.path === path));
	}

	/** Returns the socket bound to one of these abstract names in the network namespace of the process. */
	boundAbstract(pid: number, names: readonly string[]): Bound | undefined {
		return this.#owner(pid, socket => names.includes(socket.path));
	}

	/** A dying process has no visible descriptors, so the result names no owner. */
	#owner(pid: number, isWanted: (socket: Socket) => boolean): Bound | undefined {
		const {network} = this.process(pid);
		for (const each of this.processes) {
			if (each.network !== network) continue;
			const socket = each.descriptors.find(open => open?.kind === 'socket' && isWanted(open));
			if (socket === undefined) continue;
			return {isCertain: true, ...(this.#isVisible(each, socket) ? {holder: someHolder} : {})};
		}
		return undefined;
	}

	/** Whether a process that is not dying has the descriptor, or another one of its open file description. */
	#isVisible({dying}: ProcessTable, {description}: Descriptor): boolean {
		if (!dying || description === undefined) return !dying;
		return this.#sharers(description).some(([pid]) => !this.process(pid).dying);
	}

	/** Returns the processes that have the socket of this socket file open; none if the socket is closed. */
	boundSockets(ino: number): {readonly pid: number; readonly socket: Socket}[] {
		return this.processes.flatMap(({descriptors}, pid) => {
			const socket = descriptors.find(each => each?.kind === 'socket' && each.ino === ino);
			return socket?.kind === 'socket' ? [{pid, socket}] : [];
		});
	}

	/** Returns the first of these. */
	boundSocket(ino: number): {readonly pid: number; readonly socket: Socket} | undefined {
		return this.boundSockets(ino)[0];
	}
}

/** One constant holder, which the protocol only passes on. It keeps equal states equal. */
export const someHolder = {pid: 7, uid: 0, command: 'server', since: undefined, verified: true} as const;
