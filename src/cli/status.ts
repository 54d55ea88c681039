/**
 * `bindlock status`: what is the state of these addresses?
 */

import {type Inspection, inspect} from '../api/inspect.js';
import {pause} from '../kernel/deadline.js';
import {describeHolder} from '../model/holder.js';
import {escaped, printable, quoted} from '../model/text.js';
import {addressArgument} from './addresses.js';
import {exit} from './failures.js';
import {writeData} from './output.js';
import {colored, holderJson, printJson, reasonJson} from './show.js';
import {answeredConnection, seldomMs} from './watching.js';

export interface StatusOptions {
	readonly json?: boolean;
	readonly watch?: boolean;
}

/** @returns the exit status */
export default async function status(addresses: readonly string[], options: StatusOptions): Promise<number> {
	if (options.watch) return watch(addresses, options);
	let result: number = exit.done;
	for (const address of addresses) {
		const seen = await inspect(addressArgument(address));
		if (options.json) printJson(toJson(address, seen));
		else writeData(`${toText(address, seen, width(addresses))}\n`);
		if (seen.state !== 'free' && seen.state !== 'stale') result = exit.taken;
	}
	return result;
}

const watchMs = 500;

/** For ever: Ctrl-C ends it. On a terminal all lines are drawn in place, else those that are new. */
async function watch(addresses: readonly string[], {json = false}: StatusOptions): Promise<never> {
	const shown = new Map<string, string>();
	const inPlace = process.stdout.isTTY && !json;
	for (let first = true; ; first = false) {
		let pauseMs = watchMs;
		const changed: string[] = [];
		for (const address of addresses) {
			const seen = await inspect(addressArgument(address));
			if (await answeredConnection(address, seen)) pauseMs = seldomMs;
			const line = json ? quoted(toJson(address, seen)) : toText(address, seen, width(addresses));
			if (shown.get(address) !== line) changed.push(line);
			shown.set(address, line);
		}
		if (inPlace && changed.length > 0) redraw([...shown.values()], first ? 0 : shown.size);
		else if (changed.length > 0) writeData(`${changed.join('\n')}\n`);
		await pause(pauseMs);
	}
}

/** Each line keeps to one row, so that as many rows up is where they began. */
function redraw(lines: readonly string[], up: number): void {
	const above = up === 0 ? '' : `\u001B[${up}A`;
	writeData(`\u001B[?7l${above}${lines.map(line => `\r\u001B[2K${line}\n`).join('')}\u001B[?7h`);
}

function width(addresses: readonly string[]): number {
	return Math.max(...addresses.map(address => printable(address).length));
}

function toText(address: string, {state, holder, reason}: Inspection, addressWidth: number): string {
	const verified = holder?.verified ? ', verified by the kernel' : '';
	const who =
		holder === undefined ? 'by a process that cannot be seen from here' : `by ${describeHolder(holder)}${verified}`;
	const more = {
		free: '',
		stale: 'no process is bound to it; the next bindlock removes it',
		held: who,
		foreign: `${who}, which takes no lock`,
		blocked: reason?.message ?? '',
	}[state];
	return `${colored(state, 7)}  ${printable(address).padEnd(addressWidth)}  ${escaped(more)}`.trimEnd();
}

function toJson(address: string, seen: Inspection): object {
	return {
		address,
		state: seen.state,
		lockPath: seen.lockPath,
		found: seen.found,
		holder: holderJson(seen.holder),
		reason: reasonJson(seen.reason),
		networkNamespace: seen.networkNamespace,
	};
}
