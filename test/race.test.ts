/**
 * Many real processes go for one address at the same moment, and holders are killed in a loop. Two
 * detectors that know nothing of each other count the servers: what the processes say, and what
 * the kernel's tables and a client show.
 */
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {flockHolders, listeners, makeStale, reach} from './helpers/detectors.js';
import {type Program, start, temporaryDirectory, until} from './helpers/programs.js';
import type {RecipeName} from './helpers/recipes.js';

interface Tally {
	/** Rounds in which more than one process said that it serves. */
	saidDouble: number;
	/** Rounds in which the kernel had more than one listening socket bound to the address. */
	seenDouble: number;
	/** Rounds in which nobody served. */
	none: number;
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

/** Rounds of starting together on a stale socket. */
async function race(t: ExecutionContext, recipe: RecipeName, processes: number, rounds: number): Promise<Tally> {
	const address = join(temporaryDirectory(t), 's');
	const racers = await startRacers(t, recipe, address, processes);
	const tally: Tally = {saidDouble: 0, seenDouble: 0, none: 0};
	for (let round = 0; round < rounds; round++) {
		await makeStale(address);
		const at = Date.now() + 4;
		for (const racer of racers) racer.send(`go ${at}`);
		const events = await Promise.all(racers.map(racer => racer.next()));
		const winners = racers.filter((_, index) => events[index]?.event === 'serving');
		const bound = listeners(address);
		if (winners.length > 1) tally.saidDouble++;
		if (bound > 1) tally.seenDouble++;
		if (winners.length === 0) tally.none++;
		if (recipe === 'bindlock') await checkRound(t, address, racers, winners, events);
		for (const winner of winners) winner.send('stop');
		await Promise.all(winners.map(winner => winner.expect('stopped')));
	}
	return tally;
}

async function checkRound(
	t: ExecutionContext,
	address: string,
	racers: readonly Program[],
	winners: readonly Program[],
	events: readonly {readonly event: string; readonly code?: unknown}[],
): Promise<void> {
	t.is(winners.length, 1);
	t.is(listeners(address), 1);
	t.is(await reach(address), winners[0]?.pid ?? 0);
	const pids = racers.map(racer => racer.pid);
	t.deepEqual(
		flockHolders(`${address}.lock`, pids),
		winners.map(winner => winner.pid),
	);
	t.deepEqual([...new Set(events.filter(event => event.event === 'refused').map(event => event.code))], ['EADDRINUSE']);
}

test.serial(
	'four processes start together on a stale socket, 300 rounds: always one serves, and is reached',
	async t => {
		t.deepEqual(await race(t, 'bindlock', 4, 300), {saidDouble: 0, seenDouble: 0, none: 0});
	},
);

test.serial('sixteen processes start together, 40 rounds', async t => {
	t.deepEqual(await race(t, 'bindlock', 16, 40), {saidDouble: 0, seenDouble: 0, none: 0});
});

for (const recipe of ['unlink, then listen', 'probe on EADDRINUSE, then unlink', 'probe first, then unlink'] as const) {
	test.serial(`the detectors detect: "${recipe}" double-serves`, async t => {
		const tally = await race(t, recipe, 4, 60);
		t.log(
			`rounds of 60 with two or more servers: ${tally.saidDouble} by their word, ${tally.seenDouble} in the kernel's table`,
		);
		t.true(tally.saidDouble > 0);
		t.true(tally.seenDouble > 0);
	});
}

test.serial('holders are killed with SIGKILL 60 times: one successor each time, nothing masked', async t => {
	const address = join(temporaryDirectory(t), 's');
	const racers = await startRacers(t, 'bindlock', address, 4);
	for (const racer of racers) racer.send('persist');
	for (let kill = 0; kill < 60; kill++) {
		const serving = await Promise.race(racers.map(async racer => (await racer.peek()) && racer));
		t.is((await serving.next()).event, 'serving');
		t.is(listeners(address), 1);
		t.is(await reach(address), serving.pid);
		await serving.kill();
		const place = racers.indexOf(serving);
		const [fresh] = await startRacers(t, 'bindlock', address, 1);
		fresh?.send('persist');
		racers[place] = fresh as Program;
	}
	await until(() => listeners(address) === 1, 'the last successor');
});
