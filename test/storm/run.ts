/**
 * Runs a storm: real processes take, serve, release, wait, abort, stop, continue and are killed at random, among
 * clients and outsiders.
 */
import {appendFileSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {acquire} from '../../src/index.js';
import {Arena, type Tally} from './arena.js';
import {disturb} from './outsiders.js';

export interface StormOptions {
	readonly milliseconds: number;
	readonly processes: number;
	readonly seed: number;
	readonly progress?: (tally: Tally) => void;
}

export interface StormResult {
	readonly tally: Tally;
	readonly violations: readonly string[];
	/** Keeps the evidence if there are violations. */
	readonly directory: string;
}

export async function storm({milliseconds, processes, seed, progress}: StormOptions): Promise<StormResult> {
	const directory = mkdtempSync(join(tmpdir(), 'bl-'));
	const tally = newTally();
	const violations: string[] = [];
	const report = (what: string): void => {
		violations.push(what);
		appendFileSync(join(directory, 'evidence.txt'), `${new Date().toISOString()} ${what}\n`);
	};
	const arenas = [
		new Arena(join(directory, 's'), true, tally, report),
		new Arena(`\0${directory}`, true, tally, report),
		new Arena(join(directory, 'mixed'), false, tally, report),
	] as const;
	const playing = [...playAll(arenas, processes, seed), disturb(arenas[2], seed, report)];
	// Reports early failures at once. The others end with the storm.
	const failed = Promise.all(playing).then(() => 'ended' as const);
	const until = performance.now() + milliseconds;
	try {
		while (performance.now() < until) {
			if ((await Promise.race([sleep(Math.min(1000, milliseconds)), failed])) === 'ended') break;
			progress?.(tally);
		}
		for (const arena of arenas) arena.ended = true;
		await failed;
	} catch (error) {
		report(String(error));
	} finally {
		for (const arena of arenas) arena.ended = true;
		await Promise.allSettled(playing);
		await Promise.all(arenas.map(arena => arena.close()));
	}
	await checkRest(arenas, directory, report);
	if (violations.length === 0) rmSync(directory, {recursive: true});
	return {tally, violations, directory};
}

/** Starts the processes: most for the pathname, some for the abstract name, some among outsiders. */
function* playAll(arenas: readonly [Arena, Arena, Arena], processes: number, seed: number): Generator<Promise<void>> {
	const [pathname, abstract, mixed] = arenas;
	const places = [pathname, abstract, mixed, pathname, pathname, abstract, pathname, mixed];
	for (let index = 0; index < processes; index++) {
		yield (places[index % places.length] as Arena).play(seed * 1000 + index);
	}
	for (const [index, arena] of arenas.entries()) yield arena.connect(seed * 1000 + 500 + index);
	for (const arena of [pathname, abstract]) yield arena.watch();
}

/** Checks the end of the storm: a newcomer gets every address, and only sockets and lock files are left. */
async function checkRest(arenas: readonly Arena[], directory: string, report: (what: string) => void): Promise<void> {
	for (const {address} of arenas) {
		try {
			await (await acquire(address, {waitMs: 5000})).release();
		} catch (error) {
			report(`afterwards a newcomer is refused: ${String(error)}`);
		}
	}
	const left = readdirSync(directory).filter(name => !/^(s|mixed)\.lock$|^mixed\.aside\d+$|^evidence/.test(name));
	if (left.length > 0) report(`afterwards there is ${left}`);
}

function newTally(): Tally {
	return {
		turns: 0,
		held: 0,
		refused: 0,
		killed: 0,
		stopped: 0,
		aborted: 0,
		clients: 0,
		looks: 0,
		naive: 0,
		cleaned: 0,
		windows: 0,
	};
}
