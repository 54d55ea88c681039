/**
 * `bindlock status`: prints the state of addresses.
 */
import {inspect} from '../api/inspect.js';
import {pause} from '../kernel/deadline.js';
import {describeHolder} from '../model/holder.js';
import {escaped, printable, quoted} from '../model/text.js';
import type {Inspection} from '../protocol/inspection.js';
import {addressArgument, parseAddressArgument} from './arguments.js';
import {exit} from './exit-status.js';
import {holderJson, printJson, reasonJson} from './json.js';
import {colored, writeData} from './output.js';
import {answeredConnection, connectionPollMs} from './poll-interval.js';
import {socketUnitOf} from './socket-unit.js';

interface StatusOptions {
	readonly json?: boolean;
	readonly watch?: boolean;
}

/** @returns the exit status */
export default async function status(addresses: readonly string[], options: StatusOptions): Promise<number> {
	if (options.watch) return watch(addresses, options);
	let result: number = exit.done;
	for (const address of addresses) {
		const inspection = await inspect(addressArgument(address));
		if (options.json) printJson(inspectionToJson(address, inspection));
		else writeData(`${toText(address, inspection, widest(addresses))}\n`);
		if (inspection.state !== 'free' && inspection.state !== 'stale') result = exit.taken;
	}
	return result;
}

const watchMs = 500;

/** Prints changes until a signal ends the process. On a terminal all lines are redrawn in place. */
async function watch(addresses: readonly string[], {json = false}: StatusOptions): Promise<never> {
	const shown = new Map<string, string>();
	const inPlace = process.stdout.isTTY && !json;
	for (let first = true; ; first = false) {
		let pauseMs = watchMs;
		const changed: string[] = [];
		for (const address of addresses) {
			const inspection = await inspect(addressArgument(address));
			if (await answeredConnection(address, inspection)) pauseMs = connectionPollMs;
			const line = json
				? quoted(inspectionToJson(address, inspection))
				: toText(address, inspection, widest(addresses));
			if (shown.get(address) !== line) changed.push(line);
			shown.set(address, line);
		}
		if (inPlace && changed.length > 0) redraw([...shown.values()], first ? 0 : shown.size);
		else if (changed.length > 0) writeData(`${changed.join('\n')}\n`);
		await pause(pauseMs);
	}
}

/** Automatic line wrap is off meanwhile: a wrapped line would take two rows, and `up` would be too small. */
function redraw(lines: readonly string[], up: number): void {
	const above = up === 0 ? '' : `\u001B[${up}A`;
	writeData(`\u001B[?7l${above}${lines.map(line => `\r\u001B[2K${line}\n`).join('')}\u001B[?7h`);
}

function widest(addresses: readonly string[]): number {
	return Math.max(...addresses.map(address => printable(address).length));
}

function toText(address: string, inspection: Inspection, addressWidth: number): string {
	const {state, holder, reason} = inspection;
	const unit = unitOf(address, inspection);
	const verified = holder?.verified ? ', verified by the kernel' : '';
	const by =
		holder === undefined ? 'by a process that is not visible from here' : `by ${describeHolder(holder)}${verified}`;
	const details = {
		free: '',
		stale: 'no process is bound to it; the next server that uses bindlock removes it',
		held: by,
		foreign: unit === undefined ? `${by}, which takes no lock` : `by systemd, ${unit}: start the service`,
		blocked: reason?.message ?? '',
	}[state];
	return `${colored(state, 7)}  ${printable(address).padEnd(addressWidth)}  ${escaped(details)}`.trimEnd();
}

function unitOf(address: string, inspection: Inspection): string | undefined {
	return socketUnitOf(parseAddressArgument(address), inspection);
}

function inspectionToJson(address: string, inspection: Inspection): object {
	return {
		address,
		state: inspection.state,
		lockPath: inspection.lockPath,
		found: inspection.found,
		holder: holderJson(inspection.holder),
		reason: reasonJson(inspection.reason),
		networkNamespace: inspection.networkNamespace,
		unit: unitOf(address, inspection),
	};
}
