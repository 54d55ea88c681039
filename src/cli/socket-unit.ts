/**
 * The `.socket` unit of systemd that has bound an address.
 */
import {spawnSync} from 'node:child_process';
import type {Address} from '../model/address.js';
import type {Inspection} from '../protocol/inspection.js';

/** systemctl(1) may wait for a manager that hangs. */
const longestMs = 2000;

/** Returns the name of the unit, if process 1 has bound the address for one. */
export function socketUnitOf(address: Address, {state, holder}: Inspection): string | undefined {
	if (state !== 'foreign' || holder?.pid !== 1) return undefined;
	const show = ['show', '*.socket', '--property=Id,Listen'];
	const {stdout} = spawnSync('systemctl', show, {encoding: 'utf8', timeout: longestMs});
	return stdout === null ? undefined : unitIn(stdout, address);
}

/** @param shown the output of `systemctl show`: for each unit some lines, and an empty line between two units */
export function unitIn(shown: string, address: Address): string | undefined {
	const listens = `Listen=${address.kind === 'pathname' ? address.path : `@${address.name}`} (Stream)`;
	const unit = shown.split('\n\n').find(lines => lines.split('\n').includes(listens));
	return unit === undefined ? undefined : /^Id=(.*)$/m.exec(unit)?.[1];
}
