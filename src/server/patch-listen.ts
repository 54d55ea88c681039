/**
 * The hook in front of `net.Server.prototype.listen`: which calls bind a Unix address, and Node's own
 * behaviour for what happens before the bind.
 */
import {type ListenOptions, Server} from 'node:net';
import {isBypassed, nameServer} from '../kernel/net-server.js';
import {isPending} from './pending-listen.js';

type ListenMethod = (this: Server, ...args: unknown[]) => Server;

/** What a server was told by `listen`. */
export interface Listening {
	readonly path: string;
	/** What is to be the same when it is bound again. */
	readonly binding: Pick<ListenOptions, 'backlog' | 'readableAll' | 'writableAll'>;
	readonly signal: AbortSignal | undefined;
}

/** What to do with a server that is about to bind a path: calls `listen` or `fail`, at once or later. */
export type BeforeListen = (
	server: Server,
	listening: Listening,
	listen: Listen,
	fail: (error: unknown) => void,
) => void;

/**
 * Calls Node's `listen`: as it was called; or, `bound`, on a descriptor that is bound to the path, or where there is none
 * on the path without changing its mode.
 */
export type Listen = (bound?: {readonly descriptor: number | undefined}) => void;

/**
 * From now on `before` is asked for every server that listens on a Unix address. TCP ports, handles, descriptors and
 * the servers of bindlock itself are untouched.
 */
export function patchListen(before: BeforeListen): void {
	const prototype = Server.prototype as unknown as {listen: ListenMethod};
	const original = prototype.listen;
	const patched: ListenMethod = function listen(...args) {
		const path = unixPathOf(args);
		// A server that listens already is refused by Node.
		if (path === undefined || this.listening) return original.apply(this, args);
		if (isPending(this)) {
			throw Object.assign(new Error('Listen method has been called more than once without closing.'), {
				code: 'ERR_SERVER_ALREADY_LISTEN',
			});
		}
		before(
			this,
			{path, ...detailsOf(args)},
			bound => {
				original.apply(this, bound === undefined ? args : argumentsFor(args, path, bound.descriptor));
				if (bound?.descriptor !== undefined) nameServer(this, path);
			},
			error => failToListen(this, path, args.at(-1), error),
		);
		return this;
	};
	prototype.listen = patched;
}

/** As `net.Server.prototype.listen` reads its arguments (lib/net.js of Node 20 to 26). */
function unixPathOf(args: readonly unknown[]): string | undefined {
	const [first] = args;
	if (typeof first === 'string') return isPipeName(first) ? first : undefined;
	if (typeof first !== 'object' || first === null || isBypassed(first)) return undefined;
	const {_handle, handle, fd, port, path} = first as Readonly<Record<string, unknown>>;
	if (_handle || handle || (typeof fd === 'number' && fd >= 0)) return undefined;
	if (
		'port' in first &&
		(port === undefined || port === null || typeof port === 'number' || typeof port === 'string')
	) {
		return undefined;
	}
	return typeof path === 'string' && isPipeName(path) ? path : undefined;
}

/** `listen(path, backlog)` or `listen(options, backlog)`, of which the options come first. */
function detailsOf([first, ...rest]: readonly unknown[]): Omit<Listening, 'path'> {
	const options = (typeof first === 'object' ? first : {}) as ListenOptions;
	const backlog = options.backlog || rest.slice(0, 2).map(Number).find(Boolean);
	const {readableAll, writableAll, signal} = options;
	return {
		binding: {
			...(backlog === undefined ? {} : {backlog}),
			...(readableAll === undefined ? {} : {readableAll}),
			...(writableAll === undefined ? {} : {writableAll}),
		},
		// Of anything else Node says what it is not.
		signal: signal instanceof AbortSignal ? signal : undefined,
	};
}

/** Node takes the backlog of a descriptor from the second argument only. */
function argumentsFor(args: readonly unknown[], path: string, descriptor: number | undefined): unknown[] {
	const [first] = args;
	const callback = args.filter((each, index) => index === args.length - 1 && typeof each === 'function');
	const {backlog = 511} = detailsOf(args).binding;
	const options = typeof first === 'object' ? first : {path};
	const changes = {readableAll: false, writableAll: false};
	const on = descriptor === undefined ? changes : {...changes, path: undefined, fd: descriptor};
	return [{...options, ...on}, backlog, ...callback];
}

function isPipeName(text: string): boolean {
	return !(Number(text) >= 0);
}

/** What Node does when a bind fails: it tells of it when the caller had a chance to listen for that. */
function failToListen(server: Server, path: string, callback: unknown, error: unknown): void {
	nameServer(server, path);
	if (typeof callback === 'function') server.once('listening', callback as () => void);
	process.nextTick(() => server.emit('error', error as Error));
}
