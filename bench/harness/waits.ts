/**
 * Ways to wait for an address, without a limit, and then to serve on it.
 */
import {createServer, type Server} from 'node:net';
import lockProperly from 'proper-lockfile';
import {acquire, listen} from '../../src/index.js';
import {recipes} from '../../test/helpers/recipes.js';
import {nodes, type Runtime} from '../../test/helpers/runtimes.js';
import {staleMs} from './exclusions.js';
import {load} from './load.js';

export interface Wait {
	readonly package?: string;
	readonly env?: Readonly<Record<string, string>>;
	/** Default: the Node that runs the benchmark. */
	readonly runtime?: Runtime;
	readonly abstract?: true;
	/** A lease, which expires some time after its holder. */
	readonly lease?: true;
	/** Resolves when this process has the address. No server is bound yet. */
	take(address: string): Promise<unknown>;
	/** Resolves when the server listens. */
	serve(server: Server, address: string): Promise<unknown>;
}

const forEver = {waitMs: Number.POSITIVE_INFINITY};

const ours: Pick<Wait, 'take' | 'serve'> = {
	take: address => acquire(address, forEver),
	serve: (server, address) => listen(server, address, forEver),
};

export const pollMs = 50;

const properLockfile = async (address: string): Promise<unknown> =>
	lockProperly.lock(address, {
		realpath: false,
		stale: staleMs,
		onCompromised: () => {},
		retries: {forever: true, minTimeout: pollMs, maxTimeout: pollMs},
	});

async function lockfile(address: string): Promise<void> {
	const module = await load<{lock(path: string, options: object, done: (error?: Error) => void): void}>('lockfile');
	await new Promise<void>((resolve, reject) => {
		// The package has no heartbeat, so a benchmark of waiting must set that the lock does not expire.
		const stale = Number(process.env['BENCH_STALE_MS'] ?? staleMs);
		const options = {stale, wait: 600_000, pollPeriod: pollMs};
		module.lock(`${address}.lock`, options, error => (error ? reject(error) : resolve()));
	});
}

const poll = 'probe on EADDRINUSE, then unlink';

/** The recipe without a lock takes only the socket itself. */
async function pollProbing(server: Server, address: string): Promise<void> {
	for (;;) {
		try {
			return await recipes[poll](server, address);
		} catch {
			await new Promise(resolve => setTimeout(resolve, pollMs));
		}
	}
}

export type WaitName =
	| 'bindlock, queued by flock(1)'
	| 'bindlock, trying with the addon'
	| 'bindlock, trying with koffi'
	| 'bindlock, trying with the FFI of Node 26'
	| 'bindlock, abstract'
	| 'probing every 50 ms'
	| 'proper-lockfile'
	| 'lockfile';

export const waits: Readonly<Record<WaitName, Wait>> = {
	'bindlock, queued by flock(1)': {...ours, env: {BINDLOCK_FLOCK: ''}},
	'bindlock, trying with the addon': {...ours, env: {BINDLOCK_FLOCK: 'addon'}},
	'bindlock, trying with koffi': {...ours, env: {BINDLOCK_FLOCK: 'koffi'}},
	'bindlock, trying with the FFI of Node 26': {
		...ours,
		env: {BINDLOCK_FLOCK: 'ffi'},
		runtime: nodes.at(-1) as Runtime,
	},
	'bindlock, abstract': {...ours, abstract: true},
	'probing every 50 ms': {
		take: address => pollProbing(createServer(), address),
		serve: pollProbing,
	},
	'proper-lockfile': {...locked(properLockfile), lease: true},
	lockfile: {...locked(lockfile), lease: true, package: 'lockfile'},
};

export const waitNames: readonly WaitName[] = Object.keys(waits) as WaitName[];

function locked(take: (address: string) => Promise<unknown>): Pick<Wait, 'take' | 'serve'> {
	return {
		take,
		async serve(server, address) {
			await take(address);
			await recipes['unlink, then listen'](server, address);
		},
	};
}
