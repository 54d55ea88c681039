/**
 * The calls of the simulation on the real kernel: the shipped NodeSystem, and the calls of servers and outsiders
 * with the libuv handles of `net.Server`.
 */
import {createRequire} from 'node:module';
import {NodeSystem} from '../../src/kernel/node-system.js';

/** The internal handle with which `net.Server` binds and listens. It is not public. */
export interface Pipe {
	bind(path: string): number;
	listen(backlog: number): number;
	close(): void;
	onconnection: (status: number, client: {close(): void} | undefined) => void;
}

const {Pipe: NewPipe, constants} = (
	process as unknown as {
		binding(name: 'pipe_wrap'): {Pipe: new (kind: number) => Pipe; constants: {SERVER: number}};
	}
).binding('pipe_wrap');

/** Loads fs-ext on the first call, because only scripts with locks need it. */
function flockSync(descriptor: number, flags: 'shnb' | 'un'): void {
	const addon = createRequire(import.meta.url)('fs-ext') as {flockSync: typeof flockSync};
	addon.flockSync(descriptor, flags);
}

/** One real process plays all simulated processes, because a flock belongs to the open file description. */
export class RealSystem extends NodeSystem {
	flockShared(descriptor: number): boolean {
		try {
			flockSync(descriptor, 'shnb');
			return true;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
			throw error;
		}
	}

	flockUnlock(descriptor: number): void {
		flockSync(descriptor, 'un');
	}

	/** @throws `EADDRINUSE` */
	bind(path: string): Pipe {
		const pipe = new NewPipe(constants.SERVER);
		pipe.onconnection = (_, client) => client?.close();
		if (pipe.bind(path) === 0) return pipe;
		pipe.close();
		throw Object.assign(new Error('bind'), {code: 'EADDRINUSE'});
	}

	listen(pipe: Pipe): void {
		pipe.listen(511);
	}
}
