/**
 * Ways to take and release a lock, each as its documentation shows, and each in its own process, so that none is
 * measured with the garbage of another.
 */
import {closeSync, openSync} from 'node:fs';
import {createRequire} from 'node:module';
import lockProperly from 'proper-lockfile';
import {acquire} from '../../src/index.js';
import {bun, deno, nodes, type Runtime} from '../../test/helpers/runtimes.js';
import {takeLockfile} from './exclusions.js';
import {load} from './load.js';
import {preparePlainNode} from './plain-node.js';

export type GiveBack = () => unknown;

export interface Taker {
	readonly package?: string;
	readonly env?: Readonly<Record<string, string>>;
	/** Default: the Node that runs the benchmark. */
	readonly runtime?: Runtime;
	/** Abstract names, which do not depend on the filesystem. */
	readonly abstract?: true;
	/** The preparation, which is not measured. */
	prepare?(): Promise<(address: string) => GiveBack | Promise<GiveBack>>;
	/** Rejects or throws if the lock is taken. */
	readonly take?: (address: string) => GiveBack | Promise<GiveBack>;
}

const acquireIt = async (address: string): Promise<GiveBack> => {
	const lock = await acquire(address);
	return () => lock.release();
};

const byFfi: Taker = {env: {BINDLOCK_FLOCK: 'ffi'}, take: acquireIt};

function opened(address: string): number {
	return openSync(`${address}.lock`, 'w+', 0o600);
}

/** Returns the descriptor if the lock was granted; else closes it and throws. */
function orClose<Got>(descriptor: number, lock: (descriptor: number) => Got): Got {
	try {
		return lock(descriptor);
	} catch (error) {
		closeSync(descriptor);
		throw error;
	}
}

export const plainNode = 'plain Node, the same system calls';

export type TakerName =
	| 'bindlock, addon'
	| 'bindlock, koffi'
	| 'bindlock, FFI of Node 26'
	| 'bindlock, FFI of Bun'
	| 'bindlock, FFI of Deno'
	| 'bindlock, flock(1)'
	| 'bindlock, abstract'
	| typeof plainNode
	| 'fs-ext, bare'
	| 'fs-native-extensions'
	| 'fd-lock'
	| 'os-lock'
	| 'proper-lockfile'
	| 'lockfile';

export const takers: Readonly<Record<TakerName, Taker>> = {
	'bindlock, addon': {env: {BINDLOCK_FLOCK: 'addon'}, take: acquireIt},
	'bindlock, koffi': {env: {BINDLOCK_FLOCK: 'koffi'}, take: acquireIt},
	'bindlock, FFI of Node 26': {...byFfi, runtime: nodes.at(-1) as Runtime},
	'bindlock, FFI of Bun': {...byFfi, runtime: bun},
	'bindlock, FFI of Deno': {...byFfi, runtime: deno},
	'bindlock, flock(1)': {env: {BINDLOCK_FLOCK: 'command'}, take: acquireIt},
	'bindlock, abstract': {abstract: true, take: address => acquireIt(`\0${address}`)},
	[plainNode]: {prepare: async () => preparePlainNode()},
	'fs-ext, bare': {
		async prepare() {
			const {flockSync} = createRequire(import.meta.url)('fs-ext') as {flockSync(fd: number, flags: string): void};
			return address => {
				const descriptor = opened(address);
				orClose(descriptor, () => flockSync(descriptor, 'exnb'));
				return () => closeSync(descriptor);
			};
		},
	},
	'fs-native-extensions': {
		package: 'fs-native-extensions',
		async prepare() {
			const {tryLock} = await load<{tryLock(fd: number): boolean}>('fs-native-extensions');
			return address => {
				const descriptor = opened(address);
				orClose(descriptor, () => {
					if (!tryLock(descriptor)) throw new Error('taken');
				});
				return () => closeSync(descriptor);
			};
		},
	},
	'fd-lock': {
		package: 'fd-lock',
		async prepare() {
			const Lock = await load<new (fd: number) => {ready(): Promise<void>; close(): Promise<void>}>('fd-lock');
			return async address => {
				const lock = new Lock(opened(address));
				await lock.ready();
				return () => lock.close();
			};
		},
	},
	'os-lock': {
		package: 'os-lock',
		async prepare() {
			const {lock} = await load<{lock(fd: number, options: object): Promise<void>}>('os-lock');
			return async address => {
				const descriptor = opened(address);
				await lock(descriptor, {exclusive: true, immediate: true}).catch(error => {
					closeSync(descriptor);
					throw error;
				});
				return () => closeSync(descriptor);
			};
		},
	},
	'proper-lockfile': {take: address => lockProperly.lock(address, {realpath: false})},
	lockfile: {package: 'lockfile', take: address => takeLockfile(address, {})},
};

export const takerNames: readonly TakerName[] = Object.keys(takers) as TakerName[];
