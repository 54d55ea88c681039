/**
 * The undocumented parts of Node that bindlock uses; all are as old as Node 0.x, and each use is tested on Node 20 to 26.
 */

/** Of a `net.Server`. */
export interface ServerInternals {
	/** Bun's HTTP servers, which are no `net.Server`, have none. */
	_handle?: NodeHandle | null;
	_listen2(address: null, port: number, addressType: number, backlog: number): void;
	_pipeName: string | undefined;
}

/** Of `node:net`. Other runtimes lack it. */
export interface NetInternals {
	/** Returns the handle, or the negative errno. */
	_createServerHandle?(
		address: string | null,
		port: number | null,
		addressType: number | null,
		descriptor?: number,
	): NodeHandle | number;
}

/** Of a listening socket: libuv's `uv_pipe_t`; in Bun an object of its own. */
export interface NodeHandle {
	readonly fd?: number;
	/** Returns 0, or the negative errno. Bun lacks it, and listens when the handle is created. */
	listen?(backlog: number): number;
	/** Bun calls it `stop`. */
	close?(...parameters: unknown[]): unknown;
	stop?(...parameters: unknown[]): unknown;
	unref(): void;
}

/** Of `process`. */
export interface ProcessInternals {
	readonly _exiting?: boolean;
	/** The second half of `process.exit()`, after the listeners of `'exit'`. */
	reallyExit(code: number): void;
}
