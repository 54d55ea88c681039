/**
 * Ways to serve on an address where a crashed server may have left its socket: bindlock's, the common recipes, and
 * locks of the registry around unlink and listen.
 */
import {createServer, type Server} from 'node:net';
import {type ListenOptions, listen} from '../../src/index.js';
import {bare, type RecipeName, recipes} from '../../test/helpers/recipes.js';
import {
	crossProcessLock,
	type Exclusion,
	flockCommand,
	lockfile,
	pidFile,
	properLockfile,
	removingFlockCommand,
} from './exclusions.js';
import {load} from './load.js';

/** Stops serving, as in a graceful exit. */
export type Stop = () => Promise<void>;

export interface Way {
	/** Rejects if the address is taken. */
	serve(address: string): Promise<Stop>;
	/** The name in `bench/package.json`, if the peer may be missing. */
	readonly package?: string;
	/** Creates what a holder that crashed an hour ago leaves besides its socket. */
	leave?: ((address: string) => void) | undefined;
}

export type WayName =
	| 'bindlock'
	| 'bindlock, lease'
	| 'flock(1), unlink, listen'
	| 'flock(1), removes lock file'
	| 'proper-lockfile'
	| 'lockfile'
	| 'cross-process-lock'
	| 'unix-socket-leader'
	| 'pid file'
	| 'probe on EADDRINUSE'
	| 'probe first'
	| 'always unlink'
	| 'bare Node';

export const ways: Readonly<Record<WayName, Way>> = {
	bindlock: ours({}),
	'bindlock, lease': {...ours({backend: 'lease'}), leave: properLockfile.leave},
	'flock(1), unlink, listen': guarded(flockCommand),
	'flock(1), removes lock file': guarded(removingFlockCommand),
	'proper-lockfile': guarded(properLockfile),
	lockfile: guarded(lockfile),
	'cross-process-lock': guarded(crossProcessLock),
	'unix-socket-leader': {serve: lead, package: 'unix-socket-leader', leave: pidFile('.lock').leave},
	'pid file': guarded(pidFile('.pid')),
	'probe on EADDRINUSE': recipe('probe on EADDRINUSE, then unlink'),
	'probe first': recipe('probe first, then unlink'),
	'always unlink': recipe('unlink, then listen'),
	'bare Node': {serve: address => served(server => bare(server, address))},
};

export const wayNames: readonly WayName[] = Object.keys(ways) as WayName[];

function ours(options: ListenOptions): Way {
	return {serve: address => served(async server => void (await listen(server, address, options)))};
}

function recipe(name: RecipeName): Way {
	return {serve: address => served(server => recipes[name](server, address))};
}

/** Takes the lock, then unlinks and listens; on stop, closes the socket before it releases the lock. */
function guarded(exclusion: Exclusion): Way {
	const serve = async (address: string): Promise<Stop> => {
		const giveBack = await exclusion.take(address);
		try {
			const stop = await served(server => recipes['unlink, then listen'](server, address));
			return async () => {
				await stop();
				await giveBack();
			};
		} catch (error) {
			await giveBack();
			throw error;
		}
	};
	return {...exclusion, serve};
}

async function served(begin: (server: Server) => Promise<void>): Promise<Stop> {
	const server = createServer(socket => socket.on('error', () => {}).end(`${process.pid}\n`));
	await begin(server);
	return () => new Promise(resolve => server.close(() => resolve()));
}

/** A library with its own election: the process that gets the address is the leader, the others are its clients. */
async function lead(address: string): Promise<Stop> {
	const create =
		await load<(path: string) => NodeJS.EventEmitter & {close(done: () => void): void}>('unix-socket-leader');
	const leader = create(address);
	const close: Stop = () =>
		new Promise(resolve => {
			leader.close(resolve);
			// Its close calls no callback without a server or a client.
			setTimeout(resolve, 50);
		});
	const role = await new Promise<string>((resolve, reject) => {
		leader.once('leader', () => resolve('leader')).once('client', () => resolve('client'));
		leader.on('error', reject).on('connection', socket => socket.on('error', () => {}));
	});
	leader.on('client', socket => socket.on('error', () => {}));
	if (role === 'leader') return close;
	await close();
	throw new Error('taken');
}
