/**
 * Races of a few rounds, and whether the detectors detect. `race.deep.test.ts` has more rounds.
 */
import test from 'ava';
import {atLoad} from '../helpers/deadlines.js';
import {killHolders, race, raceWell, type Tally} from '../helpers/races.js';

for (const kind of ['pathname', 'abstract'] as const) {
	test.serial(`${kind}: four processes start together on a stale socket, 10 rounds: one serves, and is reached`, t =>
		raceWell(t, kind, 4, 10),
	);

	test.serial(`${kind}: holders killed 3 times while others wait: one successor each, none masked`, t =>
		killHolders(t, kind, 'wait', 3),
	);
}

for (const recipe of ['unlink, then listen', 'probe on EADDRINUSE, then unlink', 'probe first, then unlink'] as const) {
	// Usually the first or the second; but on a busy machine the processes may run one after the other for many rounds.
	test.serial(`the detectors detect: "${recipe}" double-serves within 1000 rounds`, async t => {
		t.timeout(atLoad(120_000));
		const isEnough = ({saidDouble, seenDouble}: Tally): boolean => saidDouble >= 3 && seenDouble >= 3;
		const {rounds, saidDouble, seenDouble} = await race(t, 'pathname', recipe, 4, 1000, isEnough);
		t.log(`in ${saidDouble} of ${rounds} rounds by their word, in ${seenDouble} in the kernel's table`);
		t.true(saidDouble > 0);
		t.true(seenDouble > 0);
	});
}
