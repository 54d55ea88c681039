/**
 * `bindlock doctor`: checks that locking works on this machine, and suggests remedies.
 */
import {escaped} from '../../model/text.js';
import {exit} from '../exit-status.js';
import {printJson} from '../json.js';
import {colored, writeData} from '../output.js';
import {addressChecks} from './address-checks.js';
import {machineChecks} from './machine-checks.js';

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
