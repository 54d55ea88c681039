/**
 * The outsiders of a storm: a cleaner that deletes lock files and sockets, and a naive server that unlinks and binds.
 * bindlock must not remove the socket of the naive server.
 */
import {lstatSync, unlinkSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {withDeadline} from '../helpers/deadlines.js';
import {reach} from '../helpers/detectors.js';
import {type Arena, now, start} from './arena.js';
import {Random} from './random.js';

export async function disturb(arena: Arena, seed: number, report: (what: string) => void): Promise<void> {
	const random = new Random(seed);
	while (!arena.ended) {
		await sleep(random.upTo(120));
		const what = random.pick(['lock', 'socket', 'naive', 'naive']);
		if (what === 'naive') await serveNaively(arena, random.upTo(150), report);
		else clean(arena, what === 'lock' ? `${arena.address}.lock` : arena.address);
	}
}

function clean(arena: Arena, path: string): void {
	try {
		unlinkSync(path);
		arena.tally.cleaned++;
	} catch {}
}

/** Runs a naive server. The cleaner is idle meanwhile, so a removed socket file was removed by bindlock. */
async function serveNaively(arena: Arena, milliseconds: number, report: (what: string) => void): Promise<void> {
	const program = start('naive', arena.address);
	try {
		const {event, ino, began, at} = await program.next();
		if (event !== 'bound') return;
		arena.tally.naive++;
		const until = now() + milliseconds;
		while (now() < until && !arena.ended) {
			await sleep(5);
			if (await isThere(arena.address, Number(ino))) continue;
			// A bindlock process must have been between its check and its unlink when this server bound.
			await sleep(300);
			const inWindow = arena.operations.some(each => each.from <= Number(at) && each.to >= Number(began));
			if (!inWindow) report(`the socket of a server that takes no lock was removed, bound from ${began} to ${at}`);
			arena.tally.windows++;
			return;
		}
		await withDeadline(reach(arena.address), 2000).catch(() => {});
	} finally {
		await program.kill();
	}
}

/** Returns whether the file exists. It may be renamed for a moment and then restored. */
async function isThere(path: string, ino: number): Promise<boolean> {
	for (let attempt = 0; attempt < 20; attempt++) {
		if (lstatSync(path, {throwIfNoEntry: false})?.ino === ino) return true;
		await sleep(5);
	}
	return false;
}
