/**
 * What a process does for the first time takes milliseconds, because its JavaScript is compiled then. So one that
 * waits for an address plays meanwhile what it will do when the address is its own: with the same code, on a
 * machine where nothing can be changed. It then takes over the faster (measured, from the grant of the lock to the
 * listening server: 3.4 ms, 1.2 ms after one rehearsal, and 1.0 ms after a few).
 */
import {type PathnameAddress, parseAddress} from './address.js';
import {Loss} from './lock.js';
import type {AcquireOptions} from './options.js';
import {granted} from './protocol/refusals.js';
import {Serving} from './serving.js';
import {Starting} from './starting.js';
import {freeDescriptors} from './system/procfs.js';
import {nobodysServer, root, Stage, visit} from './system/stage.js';
import {isInotifyOpen} from './system/watcher.js';
import {takePathname} from './taking.js';
import {Watch} from './watch.js';

let rehearsed = false;

/** The same options; the first wait begins with the rehearsals. */
export function rehearsing<Options extends AcquireOptions>(options: Options): Options {
	const {waitMs, replace, onWait} = options;
	// Other platforms have no addresses that are forgotten with their socket.
	if (rehearsed || (!waitMs && replace === undefined) || process.platform !== 'linux') return options;
	return {
		...options,
		onWait: holder => {
			// After the queueing, which is what has to be done now.
			if (!rehearsed) setImmediate(() => void rehearse().catch(() => {}));
			rehearsed = true;
			onWait?.(holder);
		},
	};
}

const stage: PathnameAddress = {kind: 'pathname', given: root, path: root, bindPath: root, lockPath: root};

/** V8 compiles again what has run a few times, in batches: with some more or fewer rounds one comes in the take-over. */
const rounds = 7;

/** It has up to a dozen descriptors open at once, and must take the last from nobody. */
const spareDescriptors = 64;

async function rehearse(): Promise<void> {
	if (freeDescriptors() < spareDescriptors) return;
	for (let round = 0; round < rounds; round++) await rehearseOnce(round === 0);
}

async function rehearseOnce(queues: boolean): Promise<void> {
	const server = nobodysServer();
	const starting = new Starting(server, root, undefined);
	const {signal} = starting;
	const taken = granted(await takePathname(stage, {waitMs: 1000, signal}, new Stage(queues, signal)));
	starting.end();
	// An abstract address leaves nothing behind.
	const address = parseAddress(`\0bindlock-rehearsal-${process.pid}-${process.hrtime.bigint()}`);
	const lock = await new Serving(server, address, {exclusive: true}, taken, new Loss()).start(undefined, signal);
	try {
		// Of inotifies each user has few.
		if (isInotifyOpen()) watch();
		await visit(address.bindPath);
	} finally {
		await lock.release();
	}
}

/** Looks once, and is content. */
function watch(): void {
	new Watch({
		address: stage,
		keeper: {path: root, isIntact: () => true, retake: async () => {}},
		isBound: () => true,
		rebind: async () => {},
		heals: false,
		loss: new Loss(),
		healed: () => {},
		lost: () => {},
	}).stop();
}
