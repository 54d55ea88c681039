/**
 * Tests races with few rounds, and that the detectors of double serving work. `race.deep.test.ts` has more rounds.
 */
import test from 'ava';
import {atLoad} from '../helpers/deadlines.js';
import {killHolders, race, raceWell, type Tally} from '../helpers/races.js';

for (const kind of ['pathname', 'abstract'] as const) {
	test.serial(`${kind}: four processes start together on a stale socket, 10 rounds: one serves and is reachable`, t =>
		raceWell(t, kind, 4, 10),
	);

	test.serial(`${kind}: 3 holders are killed while others wait: each has one successor, and none is masked`, t =>
		killHolders(t, kind, 'wait', 3),
	);
}

for (const recipe of ['unlink, then listen', 'probe on EADDRINUSE, then unlink', 'probe first, then unlink'] as const) {
	// It usually takes one or two rounds. On a busy machine the processes may run one after the other for many rounds.
	test.serial(`the detectors detect: "${recipe}" double-serves within 1000 rounds`, async t => {
		t.timeout(atLoad(120_000));
		const isEnough = ({saidDouble, seenDouble}: Tally): boolean => saidDouble >= 3 && seenDouble >= 3;
		const {rounds, saidDouble, seenDouble} = await race(t, 'pathname', recipe, 4, 1000, isEnough);
		t.log(
			`double serving: ${saidDouble} of ${rounds} rounds by the processes' reports, ${seenDouble} by the kernel's table`,
		);
		t.true(saidDouble > 0);
		t.true(seenDouble > 0);
	});
}
