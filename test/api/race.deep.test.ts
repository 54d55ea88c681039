/**
 * Tests races with many rounds and many processes.
 */
import test from 'ava';
import {detectDouble, killHolders, raceWell} from '../helpers/races.js';

for (const kind of ['pathname', 'abstract'] as const) {
	test.serial(`${kind}: four processes start together on a stale socket, 300 rounds: one serves and is reachable`, t =>
		raceWell(t, kind, 4, 300),
	);

	test.serial(`${kind}: sixteen processes start together, 40 rounds: one serves and is reachable`, t =>
		raceWell(t, kind, 16, 40),
	);

	for (const way of ['persist', 'wait'] as const) {
		test.serial(`${kind}: 40 holders are killed while others ${way}: each has one successor, and none is masked`, t =>
			killHolders(t, kind, way, 40),
		);
	}
}

for (const recipe of ['probe on EADDRINUSE, then unlink', 'probe first, then unlink'] as const) {
	test.serial(`the detectors detect that "${recipe}" double-serves`, t => detectDouble(t, recipe));
}
