/**
 * `bindlock/register`: every `net.Server` that listens on a Unix address takes its lock first and gives it back
 * when it closes, with no change to its code. Loaded by `node --import bindlock/register`, or imported first.
 */

import {parseAddress} from '../kernel/address-parser.js';
import type {BoundSocket} from '../kernel/bound-handle.js';
import {bindsForWorkers, isClusterWorker} from '../kernel/cluster.js';
import {openInotify} from '../kernel/inotify.js';
import type {Server} from '../kernel/net-server.js';
import {Loss} from '../lock/loss.js';
import {isAcquiredHere} from '../lock/owned-lock.js';
import {type TakenAddress, takeAddress} from '../lock/take.js';
import {type Address, keyOf} from '../model/address.js';
import {addressInUse, BindLockError} from '../model/errors.js';
import {checkRegisterOptions} from '../model/option-checks.js';
import type {RegisterOptions} from '../model/options.js';
import {Serving} from '../server/bound-server.js';
import {type Listen, type Listening, patchListen} from '../server/patch-listen.js';
import {holdPending} from '../server/pending-listen.js';
import {optionsOfEnvironment} from './register-environment.js';

export type {RegisterOptions} from '../model/options.js';

/**
 * Changes the settings for servers that listen from now on. Without it they are those of the environment; what is
 * given here comes first.
 *
 * @throws BindLockError `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_VALUE`
 */
export function register(options: RegisterOptions = {}): void {
	registration().configure(checkRegisterOptions(options));
}

/** What this thread's `net.Server.prototype.listen` is patched with, by whichever copy of bindlock came first. */
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
	patchListen((server, listening, listen, fail) => lockAndListen(server, listening, settings, listen, fail));
	return {
		configure: options => {
			settings = {...settings, ...options};
		},
	};
}

function lockAndListen(
	server: Server,
	listening: Listening,
	{exclude, ...options}: RegisterOptions,
	listen: Listen,
	fail: (error: unknown) => void,
): void {
	const {path} = listening;
	// Not by `test()`: that begins where the last one ended, for an expression with the flag g.
	const isExcluded = exclude !== undefined && path.search(exclude) !== -1;
	// The primary binds for a cluster's workers, and has the lock.
	if (isExcluded || isClusterWorker()) {
		listen();
		return;
	}
	const failExplained = (error: unknown): void => fail(explained(path, error));
	try {
		const address = addressBoundByNode(path);
		// By `acquire`, for this very server.
		if (isAcquiredHere(address)) listen();
		else takeAndListen(server, address, listening, options, listen, failExplained);
	} catch (error) {
		// What Node throws itself it throws at once.
		if (!(error instanceof BindLockError)) throw error;
		failExplained(error);
	}
}

function takeAndListen(
	server: Server,
	address: Address,
	{binding, signal}: Listening,
	options: RegisterOptions,
	listen: Listen,
	fail: (error: unknown) => void,
): void {
	const calledOff = new AbortController();
	const loss = new Loss();
	openInotify();
	const take = (): TakenAddress | Promise<TakenAddress> =>
		takeAddress(address, {...options, signal: calledOff.signal}, loss);
	const taking = leaving.get(keyOf(address))?.then(take) ?? take();
	const bind = (taken: TakenAddress): void => {
		const serving = new Serving(server, address, {...options, ...binding}, taken, loss);
		let bound: BoundSocket | undefined;
		try {
			bound = serving.bindApart();
		} catch (error) {
			fail(error);
			return;
		}
		const isAbstract = address.kind === 'abstract';
		try {
			serving.startBy(server, bound, () => listen(isAbstract ? undefined : {descriptor: bound?.descriptor}));
		} catch (error) {
			// What Node throws itself it throws at once.
			if (!(error instanceof BindLockError)) throw error;
			fail(error);
			return;
		}
		loss.whenReported(reason => process.emitWarning(reason.message, 'BindLockWarning'));
	};
	if (!(taking instanceof Promise)) {
		bind(taking);
		return;
	}
	const settle = holdPending(server, signal, () => {
		calledOff.abort();
		leaveBehind(keyOf(address), settled);
	});
	const settled = bindLater(taking, settle, bind, fail);
}

/** What was called off, and may have the lock for a moment longer: whoever listens there next comes after that. */
const leaving: Map<string, Promise<void>> = new Map();

function leaveBehind(key: string, settled: Promise<void>): void {
	leaving.set(key, settled);
	void settled.then(() => {
		if (leaving.get(key) === settled) leaving.delete(key);
	});
}

/** Something is to be waited for: a probe of what is left at the path, or a holder. */
async function bindLater(
	taking: Promise<TakenAddress>,
	settle: () => boolean,
	bind: (taken: TakenAddress) => void,
	fail: (error: unknown) => void,
): Promise<void> {
	let taken: TakenAddress;
	try {
		taken = await taking;
	} catch (error) {
		if (settle()) fail(error);
		return;
	}
	if (!settle()) {
		taken.giveBack();
		return;
	}
	try {
		bind(taken);
	} catch (error) {
		// Too late to throw it at whoever called listen().
		fail(error);
	}
}

/** Node binds what it was given, and in a worker thread libuv unlinks just that, also where a relative name leads elsewhere by then. */
function addressBoundByNode(path: string): Address {
	const address = parseAddress(asNodeReads(path));
	return address.kind === 'pathname' ? {...address, bindPath: path} : address;
}

/** Node knows no `unix:`: to it that is the beginning of a relative path. */
function asNodeReads(path: string): string {
	return path.startsWith('unix') && path.includes(':') ? `./${path}` : path;
}

/** As Node would say it, in code and number. */
function explained(path: string, error: unknown): unknown {
	if (error instanceof BindLockError && error.code === 'ERR_HOLDER_SELF') {
		return addressInUse(path, {holder: error.holder, why: 'held by', cause: error});
	}
	// The primary of a cluster passes only a number on to its workers.
	if (error instanceof BindLockError && error.errno === undefined && bindsForWorkers()) {
		return Object.assign(error, {errno: invalidArgument});
	}
	return error;
}

/** `EINVAL` */
const invalidArgument = -22;

registration();
