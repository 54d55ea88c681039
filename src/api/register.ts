/**
 * `bindlock/register`: every `net.Server` that listens on a Unix address takes its lock first, and releases it on close,
 * without a change to its code. Loaded by `node --import bindlock/register`, or imported first.
 */

import {parseAddress} from '../kernel/address-parser.js';
import {openInotify} from '../kernel/files/inotify.js';
import {blocking} from '../kernel/interruptible.js';
import {bindsForWorkers, isClusterWorker} from '../kernel/node/cluster.js';
import type {Server} from '../kernel/node/net-server.js';
import {patchRuntimeServers, type RuntimeServerLock} from '../kernel/node/runtime-servers.js';
import type {BoundDescriptor} from '../kernel/sockets/bound-descriptor.js';
import {passedSocket} from '../kernel/sockets/passed-sockets.js';
import type {AddressLock} from '../lock/address-lock.js';
import {Loss} from '../lock/loss.js';
import {isAcquiredHere} from '../lock/owned-lock.js';
import {takeAddress} from '../lock/take.js';
import {type Address, keyOf} from '../model/address.js';
import {addressInUse, BindLockError} from '../model/errors.js';
import {checkRegisterOptions} from '../model/option-checks.js';
import type {RegisterOptions} from '../model/options.js';
import {BoundServer} from '../server/bound-server.js';
import {type Listen, type ListenCall, patchListen} from '../server/patch-listen.js';
import {holdPending} from '../server/pending-listen.js';
import {bindRuntimeServer, bindWithoutLock} from '../server/runtime-server.js';
import {optionsOfEnvironment} from './register-environment.js';

export type {RegisterOptions} from '../model/options.js';

/**
 * Changes the options for servers that listen from now on. They take precedence over those of the environment.
 *
 * @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`
 */
export function register(options: RegisterOptions = {}): void {
	registration().configure(checkRegisterOptions(options));
}

/** The patch of this thread's `net.Server.prototype.listen`. All copies of bindlock share the first one. */
interface Registration {
	configure(options: RegisterOptions): void;
}

function registration(): Registration {
	const shared = globalThis as {[name: symbol]: Registration | undefined};
	const name = Symbol.for('bindlock.register');
	shared[name] ??= patch();
	return shared[name];
}

function patch(): Registration {
	let settings: RegisterOptions = optionsOfEnvironment(process.env);
	patchListen((server, call, listen, fail) => lockAndListen(server, call, settings, listen, fail));
	patchRuntimeServers((path, bind, caller) => lockAndBind(path, settings, bind, caller));
	return {
		configure: options => {
			settings = {...settings, ...options};
		},
	};
}

function lockAndListen(
	server: Server,
	call: ListenCall,
	{exclude, ...options}: RegisterOptions,
	listen: Listen,
	fail: (error: unknown) => void,
): void {
	const {path} = call;
	// The primary of a cluster binds for its workers, and holds the lock.
	if (isExcluded(path, exclude) || isClusterWorker()) {
		listen();
		return;
	}
	const failExplained = (error: unknown): void => fail(explainForNode(path, error));
	try {
		const address = addressBoundByNode(path);
		// The program has acquired the address for this server.
		if (isAcquiredHere(address)) listen();
		else takeAndListen(server, address, call, options, listen, failExplained);
	} catch (error) {
		// Node's own errors are thrown synchronously, those of bindlock emitted.
		if (!(error instanceof BindLockError)) throw error;
		failExplained(error);
	}
}

/** For `Bun.serve` and its like. They exist once in each process of a cluster, also in its workers. */
function lockAndBind(
	path: string,
	{exclude, ...options}: RegisterOptions,
	bind: () => void,
	caller: string,
): RuntimeServerLock {
	if (isExcluded(path, exclude)) return bindWithoutLock(bind);
	return bindRuntimeServer(addressBoundByNode(path), options, bind, caller);
}

function isExcluded(path: string, exclude: RegExp | undefined): boolean {
	// Not `test()`, which with the flag g begins where the previous match ended.
	return exclude !== undefined && path.search(exclude) !== -1;
}

function takeAndListen(
	server: Server,
	address: Address,
	{binding, signal}: ListenCall,
	options: RegisterOptions,
	listen: Listen,
	fail: (error: unknown) => void,
): void {
	const cancelled = new AbortController();
	const loss = new Loss();
	openInotify();
	const passed = passedSocket(address);
	// In pieces, a free address would be bound after listen() has returned, and so later than Node binds it.
	const take = (): AddressLock | Promise<AddressLock> =>
		blocking(() => takeAddress(address, {...options, signal: cancelled.signal}, loss, passed));
	const taking = cancelling.get(keyOf(address))?.then(take) ?? take();
	const bind = (lock: AddressLock): void => {
		const boundServer = new BoundServer(server, address, {...options, ...binding}, lock, loss, passed);
		let bound: BoundDescriptor | undefined;
		try {
			bound = boundServer.bindApart();
		} catch (error) {
			fail(error);
			return;
		}
		const byNode = address.kind === 'abstract' && bound === undefined;
		try {
			boundServer.startBy(server, bound, () => listen(byNode ? undefined : {descriptor: bound?.descriptor}));
		} catch (error) {
			if (!(error instanceof BindLockError)) throw error;
			fail(error);
			return;
		}
		loss.onReport(reason => process.emitWarning(reason.message, 'BindLockWarning'));
	};
	if (!(taking instanceof Promise)) {
		bind(taking);
		return;
	}
	const settle = holdPending(server, signal, () => {
		cancelled.abort();
		awaitCancelled(keyOf(address), settled);
	});
	const settled = bindLater(taking, settle, bind, fail);
}

/** The cancelled attempts by address. Each may hold the lock for a moment longer, so the next attempt waits for it. */
const cancelling: Map<string, Promise<void>> = new Map();

function awaitCancelled(key: string, settled: Promise<void>): void {
	cancelling.set(key, settled);
	void settled.then(() => {
		if (cancelling.get(key) === settled) cancelling.delete(key);
	});
}

/** For a lock that was not taken synchronously: a socket must be probed, or a holder waited for. */
async function bindLater(
	taking: Promise<AddressLock>,
	settle: () => boolean,
	bind: (lock: AddressLock) => void,
	fail: (error: unknown) => void,
): Promise<void> {
	let lock: AddressLock;
	try {
		lock = await taking;
	} catch (error) {
		if (settle()) fail(error);
		return;
	}
	if (!settle()) {
		lock.release();
		return;
	}
	try {
		bind(lock);
	} catch (error) {
		// The call of listen() has returned, so Node's errors are emitted, too.
		fail(error);
	}
}

/**
 * Returns the address with the path that Node binds. In a worker thread libuv unlinks this very path, also if it is
 * relative and leads elsewhere by then.
 */
function addressBoundByNode(path: string): Address {
	const address = parseAddress(asNodeReads(path));
	return address.kind === 'pathname' ? {...address, bindPath: path} : address;
}

/** To Node, `unix:` is the beginning of a relative path. */
function asNodeReads(path: string): string {
	return path.startsWith('unix') && path.includes(':') ? `./${path}` : path;
}

/** Gives an error the code and number that Node's own has. */
function explainForNode(path: string, error: unknown): unknown {
	if (error instanceof BindLockError && error.code === 'ERR_HOLDER_SELF') {
		return addressInUse(path, {holder: error.holder, why: 'held by', cause: error});
	}
	// The primary of a cluster passes only the number on to its workers.
	if (error instanceof BindLockError && error.errno === undefined && bindsForWorkers()) {
		return Object.assign(error, {errno: invalidArgument});
	}
	return error;
}

/** `EINVAL` */
const invalidArgument = -22;

registration();
