/**
 * Tests races with few rounds, and that the detectors of double serving work. `race.deep.test.ts` has more rounds.
 */
import test from 'ava';
import {detectDouble, killHolders, raceWell} from '../helpers/races.js';

for (const kind of ['pathname', 'abstract'] as const) {
	test.serial(`${kind}: four processes start together on a stale socket, 10 rounds: one serves and is reachable`, t =>
		raceWell(t, kind, 4, 10),
	);

	test.serial(`${kind}: 3 holders are killed while others wait: each has one successor, and none is masked`, t =>
		killHolders(t, kind, 'wait', 3),
	);
}

test.serial('the detectors detect that "unlink, then listen" double-serves', t =>
	detectDouble(t, 'unlink, then listen'),
);
