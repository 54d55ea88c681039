/**
 * `bindlock doctor`: does locking work here, and if not, what is to be done?
 */
import {escaped} from '../errors.js';
import {writeData} from '../system/output.js';
import {addressChecks} from './doctor-address.js';
import {machineChecks} from './doctor-machine.js';
import {exit} from './failures.js';
import {colored, printJson} from './show.js';

export interface Finding {
	readonly level: 'ok' | 'warning' | 'problem';
	readonly check: string;
	readonly message: string;
	readonly remedy?: string;
}

/** @returns the exit status */
export default async function doctor([address]: readonly string[], {json}: {json?: boolean}): Promise<number> {
	const findings = [...machineChecks(), ...(address === undefined ? [] : await addressChecks(address))];
	for (const finding of findings) {
		const {level, check, message, remedy} = finding;
		if (json) printJson(finding);
		else {
			writeData(`${colored(level, 7)}  ${check}: ${escaped(message)}\n`);
			if (remedy !== undefined) writeData(`${' '.repeat(9)}→ ${escaped(remedy)}\n`);
		}
	}
	return findings.some(({level}) => level === 'problem') ? exit.system : exit.done;
}
