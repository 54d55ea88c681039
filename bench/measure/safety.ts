/**
 * The benchmark of safety: counts the rounds in which an address had two live servers, none, or one
 * that clients could not reach, by the kernel's table of sockets.
 */
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import {makeStale} from '../../test/helpers/detectors.js';
import type {Context} from '../harness/context.js';
import {obstacle} from '../harness/load.js';
import type {Count, Outcome, Unavailable} from '../harness/results.js';
import {type WayName, wayNames, ways} from '../harness/ways.js';
import {Contenders} from './contenders.js';
import {look, type Sighting} from './sighting.js';
import {stall} from './stall.js';

export const scenarios = {
	start: 'four start together on a stale socket',
	kill: 'the holder is killed while three others try',
	close: 'the holder closes while three others try',
	stall: 'the holder is stopped for 13 s, and goes on',
} as const;

export async function safety(context: Context): Promise<Outcome> {
	const {available, unavailable} = await availableWays();
	const tallies = new Map<string, Tally>();
	const tallyOf = (subject: WayName, scenario: string): Tally => {
		const key = `${scenario} ${subject}`;
		const tally = tallies.get(key) ?? new Tally(subject, scenario);
		tallies.set(key, tally);
		return tally;
	};
	const rounds = context.quick ? {start: 5, kill: 2, close: 2} : {start: 40, kill: 20, close: 20};
	const contenders = await Contenders.start(context, 4);
	const playing = {start: startTogether, kill: killHolder, close: closeHolder};
	for (const [name, play] of Object.entries(playing) as [keyof typeof playing, Play][]) {
		// All ways take turns, so that a noisy moment of the machine affects each of them.
		for (let round = 0; round < rounds[name]; round++) {
			for (const way of available) {
				context.progress(round, rounds[name], `${name}, ${way}`);
				const address = await newAddress(context, `${name}${round}`, way);
				tallyOf(way, scenarios[name]).add(await play(contenders, way, address));
				await contenders.stopAll(way, address);
			}
		}
	}
	await contenders.end();
	const stalled = await stall(context, available, (way, name) => newAddress(context, name, way));
	for (const {way, sighting} of stalled) tallyOf(way, scenarios.stall).add(sighting);
	return {counts: [...tallies.values()].map(tally => tally.count), unavailable};
}

type Play = (contenders: Contenders, way: WayName, address: string) => Promise<Sighting>;

class Tally {
	count: Count;

	constructor(subject: string, scenario: string) {
		this.count = {subject, scenario, rounds: 0, double: 0, none: 0, deleted: 0};
	}

	add({servers, socketThere}: Sighting): void {
		const {rounds, double, none, deleted} = this.count;
		this.count = {
			...this.count,
			rounds: rounds + 1,
			double: double + (servers > 1 ? 1 : 0),
			none: none + (servers === 0 ? 1 : 0),
			deleted: deleted + (servers > 0 && !socketThere ? 1 : 0),
		};
	}
}

async function startTogether(contenders: Contenders, way: WayName, address: string): Promise<Sighting> {
	await contenders.tryTogether(way, address);
	return look(address);
}

/** Long enough for a lock that the kernel releases, too short for a lock that has to expire. */
const successionMs = 500;

async function killHolder(contenders: Contenders, way: WayName, address: string): Promise<Sighting> {
	await contenders.serveAndBesiege(way, address);
	await contenders.killFirst();
	await contenders.anotherServes(address, successionMs);
	return look(address);
}

async function closeHolder(contenders: Contenders, way: WayName, address: string): Promise<Sighting> {
	await contenders.serveAndBesiege(way, address);
	await contenders.stopFirst(way, address);
	await contenders.anotherServes(address, successionMs);
	return look(address);
}

/** Returns an address in a new directory, for `start` with the files that a crashed server leaves. */
async function newAddress(context: Context, name: string, way: WayName): Promise<string> {
	const directory = join(context.places.tmpfs, `${name}-${wayNames.indexOf(way)}`);
	mkdirSync(directory);
	const address = join(directory, 's');
	if (name.startsWith('start')) {
		await makeStale(address);
		ways[way].leave?.(address);
	}
	return address;
}

async function availableWays(): Promise<{available: WayName[]; unavailable: Unavailable[]}> {
	const available: WayName[] = [];
	const unavailable: Unavailable[] = [];
	for (const name of wayNames) {
		const {package: peer} = ways[name];
		const reason = peer === undefined ? undefined : await obstacle(peer);
		if (reason === undefined) available.push(name);
		else unavailable.push({subject: name, reason});
	}
	return {available, unavailable};
}
