/**
 * The scenario of a holder that is stopped for longer than a lease lasts and then continues, as on a
 * laptop that sleeps, in a paused container or in a debugger.
 */
import {type Context, sleep} from '../harness/context.js';
import {staleMs} from '../harness/exclusions.js';
import type {WayName} from '../harness/ways.js';
import {Contender, surely} from './contender.js';
import {look, type Sighting} from './sighting.js';

const stalledMs = staleMs + 3000;

/** Runs all ways and rounds at the same time, because the stop takes most of the time. */
export async function stall(
	context: Context,
	available: readonly WayName[],
	newAddress: (way: WayName, name: string) => Promise<string>,
): Promise<{way: WayName; sighting: Sighting}[]> {
	const [holder, rival] = await Promise.all([Contender.start(context), Contender.start(context)]);
	const places: {way: WayName; address: string}[] = [];
	for (let round = 0; round < (context.quick ? 2 : 5); round++) {
		for (const way of available) places.push({way, address: await newAddress(way, `stall${round}`)});
	}
	for (const {way, address} of places) {
		holder.order({do: 'persist', way, address});
		await surely(holder.said('serving', address), `${way} serves`);
	}
	holder.signal('SIGSTOP');
	for (const {way, address} of places) rival.order({do: 'persist', way, address, pauseMs: 500});
	const began = performance.now();
	while (performance.now() - began < stalledMs) {
		context.progress(Math.round((performance.now() - began) / 1000), stalledMs / 1000, 'stall, seconds');
		await sleep(500);
	}
	holder.signal('SIGCONT');
	await sleep(100);
	const seen = places.map(({way, address}) => ({way, sighting: look(address)}));
	await Promise.all([holder.kill(), rival.kill()]);
	return seen;
}
