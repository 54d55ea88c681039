/**
 * Generates scripts of calls, and runs them on the simulated and on the real kernel.
 */
import fc from 'fast-check';
import {codeOf} from '../../src/model/errors.js';
import type {FileStatus, System} from '../../src/model/system.js';

/** Names in the directory of a script: two that do not exist at first, and a directory. */
export const names = ['a', 'b', 'd'] as const;
type Name = (typeof names)[number];

/** `slot`: the index of an open descriptor or server. */
export interface Line {
	readonly call: string;
	readonly at: Name;
	readonly to: Name;
	readonly slot: number;
	readonly text: string;
}

const onPaths = ['open', 'create', 'pin', 'bind', 'lstat', 'unlink', 'link', 'rename', 'peek'];
const looks = ['bound', 'connect', 'connect', 'contention'];
const onDescriptors = ['flock', 'flock', 'shared', 'unlock', 'fstat', 'close', 'read', 'truncate', 'write'];
const onServers = ['listen', 'listen', 'listen', 'stop', 'connectPinned'];

export const script: fc.Arbitrary<Line[]> = fc.array(
	fc.record({
		call: fc.constantFrom(...onPaths, ...looks, ...onDescriptors, ...onServers),
		// A frequent name makes the calls affect each other.
		at: fc.constantFrom('a', 'a', 'a', ...names),
		to: fc.constantFrom(...names),
		slot: fc.constantFrom(0, 0, 1, 2),
		text: fc.constantFrom('7\n', '12345\n'),
	}),
	{minLength: 10, maxLength: 40},
);

type Used =
	| 'openLockFile'
	| 'pin'
	| 'close'
	| 'fstat'
	| 'lstat'
	| 'read'
	| 'write'
	| 'truncate'
	| 'flock'
	| 'unlink'
	| 'link'
	| 'rename'
	| 'peek'
	| 'contention'
	| 'bound'
	| 'connect';

export interface Machine<Server> {
	readonly system: Pick<System, Used> & {
		flockShared(descriptor: number): boolean;
		flockUnlock(descriptor: number): void;
	};
	pathOf(name: Name): string;
	bind(path: string): Server;
	listen(server: Server): void;
	stop(server: Server): void;
}

/** Runs a script and closes everything. @returns the comparable result of each line */
export async function runScript<Server>(machine: Machine<Server>, lines: readonly Line[]): Promise<unknown[]> {
	const run = new Run(machine);
	const results: unknown[] = [];
	for (const line of lines) {
		try {
			results.push((await run.line(line)) ?? 'nothing');
		} catch (error) {
			if (codeOf(error) === 'UNKNOWN') throw error;
			results.push(codeOf(error));
		}
	}
	run.end();
	return results;
}

async function kindOf(contention: ReturnType<System['contention']>): Promise<string> {
	return (await contention).kind;
}

async function isBound(found: ReturnType<System['bound']>): Promise<boolean> {
	return (await found) !== undefined;
}

class Run<Server> {
	readonly #machine: Machine<Server>;
	readonly #descriptors: number[] = [];
	readonly #servers: {readonly server: Server; listening: boolean}[] = [];

	constructor(machine: Machine<Server>) {
		this.#machine = machine;
	}

	line(line: Line): unknown {
		if (onPaths.includes(line.call)) return this.#onPath(line);
		if (looks.includes(line.call)) return this.#look(line);
		if (line.call === 'listen' || line.call === 'stop') return this.#onServer(line);
		const descriptor = this.#descriptors[line.slot];
		return descriptor === undefined ? 'no descriptor' : this.#onDescriptor(line, descriptor);
	}

	end(): void {
		for (const descriptor of this.#descriptors) this.#machine.system.close(descriptor);
		for (const {server} of this.#servers) this.#machine.stop(server);
	}

	#onPath({call, at, to}: Line): unknown {
		const {system} = this.#machine;
		const path = this.#machine.pathOf(at);
		switch (call) {
			case 'open':
			case 'create':
				return this.#descriptors.push(system.openLockFile(path, call === 'create', 0o600));
			case 'pin':
				return this.#descriptors.push(system.pin(path) ?? -1);
			case 'bind':
				return this.#servers.push({server: this.#machine.bind(path), listening: false});
			case 'lstat':
				return this.#plain(system.lstat(path));
			case 'unlink':
				return system.unlink(path);
			case 'peek':
				return system.lstat(path)?.type === 'file' ? system.peek(path, 100) : 'no file';
			default:
				return system[call as 'link' | 'rename'](path, this.#machine.pathOf(to));
		}
	}

	#look({call, at}: Line): unknown {
		const {system} = this.#machine;
		const path = this.#machine.pathOf(at);
		if (call === 'connect') return system.connect(path, undefined);
		const found = system.lstat(path);
		if (call === 'bound') return found?.type === 'socket' ? isBound(system.bound(path, found, 'named')) : 'no socket';
		return found?.type === 'file' ? kindOf(system.contention(found, path, undefined)) : 'no file';
	}

	#onServer({call, slot}: Line): unknown {
		const found = this.#servers[slot];
		if (found === undefined) return 'no server';
		if (call === 'stop') {
			this.#servers.splice(slot, 1);
			return this.#machine.stop(found.server);
		}
		if (found.listening) return 'listens already';
		found.listening = true;
		return this.#machine.listen(found.server);
	}

	#onDescriptor({call, slot, text}: Line, descriptor: number): unknown {
		const {system} = this.#machine;
		switch (call) {
			case 'fstat':
				return this.#plain(system.fstat(descriptor));
			case 'flock':
				return system.flock(descriptor);
			case 'shared':
				return system.flockShared(descriptor);
			case 'unlock':
				return system.flockUnlock(descriptor);
			case 'read':
				return system.read(descriptor, 100);
			case 'truncate':
				return system.truncate(descriptor);
			case 'write':
				return system.write(descriptor, text);
			case 'connectPinned':
				return system.connect('/nowhere', descriptor);
			default:
				this.#descriptors.splice(slot, 1);
				return system.close(descriptor);
		}
	}

	/** Replaces inode numbers, which differ between machines, by an index. Equal files stay equal. */
	#plain(status: FileStatus | undefined): unknown {
		if (status === undefined) return undefined;
		const {type, nlink, size, ino} = status;
		const leading = names.filter(name => this.#machine.system.lstat(this.#machine.pathOf(name))?.ino === ino);
		return {type, nlink: type === 'directory' ? 0 : nlink, size: type === 'file' ? size : 0, leading};
	}
}
