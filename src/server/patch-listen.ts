/**
 * The patch of `net.Server.prototype.listen`: which calls bind a Unix address, and Node's own behaviour for what happens
 * before the bind.
 */
import type {ListenOptions, Server} from 'node:net';
import {isBypassed, nameServer, serverClasses} from '../kernel/node/net-server.js';
import {isPending} from './pending-listen.js';

type ListenMethod = (this: Server, ...args: unknown[]) => Server;

/** The arguments of a `listen` that binds a path. */
export interface ListenCall {
	readonly path: string;
	/** The options that apply again when the socket is bound again. */
	readonly binding: Pick<ListenOptions, 'backlog' | 'readableAll' | 'writableAll'>;
	readonly signal: AbortSignal | undefined;
}

/** Handles a server that is about to bind a path: calls `listen` or `fail`, synchronously or later. */
type BeforeListen = (server: Server, call: ListenCall, listen: Listen, fail: (error: unknown) => void) => void;

/**
 * Calls Node's `listen`. Without an argument: with the original arguments. With `bound`: on the descriptor of a bound
 * socket, or without one on the path, but without changing its mode.
 */
export type Listen = (bound?: {readonly descriptor: number | undefined}) => void;

/**
 * Calls `before` for every server that listens on a Unix address from now on. TCP ports, handles, descriptors and
 * bindlock's own servers are unaffected.
 */
export function patchListen(before: BeforeListen): void {
	for (const {prototype} of serverClasses()) patchPrototype(prototype as unknown as {listen: ListenMethod}, before);
}

function patchPrototype(prototype: {listen: ListenMethod}, before: BeforeListen): void {
	const original = prototype.listen;
	const patched: ListenMethod = function listen(...args) {
		const path = unixPathOf(args);
		// Node refuses a server that already listens.
		if (path === undefined || this.listening) return original.apply(this, args);
		if (isPending(this)) {
			throw Object.assign(new Error('Listen method has been called more than once without closing.'), {
				code: 'ERR_SERVER_ALREADY_LISTEN',
			});
		}
		before(
			this,
			{path, ...listenOptions(args)},
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

/** Reads the arguments as `net.Server.prototype.listen` does (lib/net.js of Node 20 to 26). */
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

/** For `listen(path, backlog)` and `listen(options, backlog)`. The options take precedence. */
function listenOptions([first, ...rest]: readonly unknown[]): Omit<ListenCall, 'path'> {
	const options = (typeof first === 'object' ? first : {}) as ListenOptions;
	const backlog = options.backlog || rest.slice(0, 2).map(Number).find(Boolean);
	const {readableAll, writableAll, signal} = options;
	return {
		binding: {
			...(backlog === undefined ? {} : {backlog}),
			...(readableAll === undefined ? {} : {readableAll}),
			...(writableAll === undefined ? {} : {writableAll}),
		},
		// Node refuses any other value.
		signal: signal instanceof AbortSignal ? signal : undefined,
	};
}

/** With a descriptor, Node reads the backlog from the second argument only. */
function argumentsFor(args: readonly unknown[], path: string, descriptor: number | undefined): unknown[] {
	const [first] = args;
	const callback = args.filter((each, index) => index === args.length - 1 && typeof each === 'function');
	const {backlog = 511} = listenOptions(args).binding;
	const options = typeof first === 'object' ? first : {path};
	const changes = {readableAll: false, writableAll: false};
	const on = descriptor === undefined ? changes : {...changes, path: undefined, fd: descriptor};
	return [{...options, ...on}, backlog, ...callback];
}

function isPipeName(text: string): boolean {
	return !(Number(text) >= 0);
}

/** Emits the error as Node does when a bind fails: after the caller had a chance to add a listener. */
function failToListen(server: Server, path: string, callback: unknown, error: unknown): void {
	nameServer(server, path);
	if (typeof callback === 'function') server.once('listening', callback as () => void);
	process.nextTick(() => server.emit('error', error as Error));
}
