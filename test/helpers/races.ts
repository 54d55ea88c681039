/**
 * Races of real processes for one address, and holders that are killed in a loop. Two independent detectors count the
 * servers: the reports of the processes, and the kernel's tables with a client.
 */
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {atLoad, until} from './deadlines.js';
import {flockHolders, listeners, makeStale, reach} from './detectors.js';
import {type Program, start, temporaryDirectory} from './programs.js';
import type {RecipeName} from './recipes.js';

export interface Tally {
	rounds: number;
	/** Rounds in which more than one process reported that it serves. */
	saidDouble: number;
	/** Rounds in which the kernel had more than one listening socket at the address. */
	seenDouble: number;
	/** Rounds without a server. */
	none: number;
}

export type Kind = 'pathname' | 'abstract';

/** The address in Node's notation, and as an argument, which cannot contain a NUL. */
interface Contested {
	readonly kind: Kind;
	readonly address: string;
	readonly argument: string;
}

function contested(t: ExecutionContext, kind: Kind): Contested {
	const path = join(temporaryDirectory(t), 's');
	if (kind === 'pathname') return {kind, address: path, argument: path};
	return {kind, address: `\0${path}`, argument: `unix-abstract:${path}`};
}

async function startRacers(
	t: ExecutionContext,
	recipe: RecipeName,
	address: string,
	count: number,
): Promise<Program[]> {
	const racers = Array.from({length: count}, () => start(t, 'racer', [recipe, address]));
	await Promise.all(racers.map(racer => racer.expect('ready')));
	return racers;
}

/** Starts the processes together on a stale socket, for the given number of rounds or until the counts suffice. */
export async function race(
	t: ExecutionContext,
	kind: Kind,
	recipe: RecipeName,
	processes: number,
	rounds: number,
	isEnough: (tally: Tally) => boolean = () => false,
): Promise<Tally> {
	const place = contested(t, kind);
	const {address} = place;
	const racers = await startRacers(t, recipe, place.argument, processes);
	const tally: Tally = {rounds: 0, saidDouble: 0, seenDouble: 0, none: 0};
	for (; tally.rounds < rounds && !isEnough(tally); tally.rounds++) {
		if (kind === 'pathname') await makeStale(address);
		const at = Date.now() + 4;
		for (const racer of racers) racer.send(`go ${at}`);
		const events = await Promise.all(racers.map(racer => racer.next()));
		const winners = racers.filter((_, index) => events[index]?.event === 'serving');
		const bound = listeners(address);
		if (winners.length > 1) tally.saidDouble++;
		if (bound > 1) tally.seenDouble++;
		if (winners.length === 0) tally.none++;
		if (recipe === 'bindlock') await checkRound(t, place, racers, winners, events);
		for (const winner of winners) winner.send('stop');
		await Promise.all(winners.map(winner => winner.expect('stopped')));
	}
	return tally;
}

async function checkRound(
	t: ExecutionContext,
	{kind, address}: Contested,
	racers: readonly Program[],
	winners: readonly Program[],
	events: readonly {readonly event: string; readonly code?: unknown}[],
): Promise<void> {
	t.is(winners.length, 1);
	t.is(listeners(address), 1);
	t.is(await reach(address), winners[0]?.pid ?? 0);
	const pids = racers.map(racer => racer.pid);
	const winning = winners.map(winner => winner.pid);
	if (kind === 'pathname') t.deepEqual(flockHolders(`${address}.lock`, pids), winning);
	else t.is(listeners(`${address}.lock`), 1);
	t.deepEqual([...new Set(events.filter(event => event.event === 'refused').map(event => event.code))], ['EADDRINUSE']);
}

/** Races bindlock processes: in each round exactly one serves, and clients reach it. */
export async function raceWell(t: ExecutionContext, kind: Kind, processes: number, rounds: number): Promise<void> {
	t.deepEqual(await race(t, kind, 'bindlock', processes, rounds), {rounds, saidDouble: 0, seenDouble: 0, none: 0});
}

/** Kills the holder repeatedly while others try or wait. Each time there is one successor, and no server is masked. */
export async function killHolders(
	t: ExecutionContext,
	kind: Kind,
	way: 'persist' | 'wait',
	kills: number,
): Promise<void> {
	const place = contested(t, kind);
	const racers = await startRacers(t, 'bindlock', place.argument, 4);
	for (const racer of racers) racer.send(way);
	for (let kill = 0; kill < kills; kill++) {
		const serving = await Promise.race(racers.map(async racer => (await racer.peek()) && racer));
		t.is((await serving.next()).event, 'serving');
		t.is(listeners(place.address), 1);
		t.is(await reach(place.address), serving.pid);
		await serving.kill();
		const [fresh] = await startRacers(t, 'bindlock', place.argument, 1);
		fresh?.send(way);
		racers[racers.indexOf(serving)] = fresh as Program;
	}
	await until(() => listeners(place.address) === 1, 'the last successor');
}

/** Tests that the detectors see a recipe serve twice. */
export async function detectDouble(t: ExecutionContext, recipe: RecipeName): Promise<void> {
	t.timeout(atLoad(120_000));
	const isEnough = ({saidDouble, seenDouble}: Tally): boolean => saidDouble >= 3 && seenDouble >= 3;
	// It usually takes one or two rounds. On a busy machine the processes may run one after the other for many rounds.
	const {rounds, saidDouble, seenDouble} = await race(t, 'pathname', recipe, 4, 1000, isEnough);
	t.log(
		`double serving: ${saidDouble} of ${rounds} rounds by the processes' reports, ${seenDouble} by the kernel's table`,
	);
	t.true(saidDouble > 0);
	t.true(seenDouble > 0);
}
