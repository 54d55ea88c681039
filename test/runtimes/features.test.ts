/**
 * Tests each feature on each runtime, and that the table of the documentation says what was seen. `npm run features`
 * writes the table.
 */
import test from 'ava';
import {testUnless} from '../helpers/abilities.js';
import {featureNames, tableOfPage, useFeature} from '../helpers/features.js';
import {runtimes} from '../helpers/runtimes.js';

const table = tableOfPage();

for (const runtime of runtimes) {
	for (const feature of table.keys()) {
		testUnless(runtime.obstacle)(`${runtime.title}: ${feature}`, async t => {
			t.is(await useFeature(runtime, feature), table.get(feature)?.get(runtime.title) ?? 'no cell');
		});
	}
}

test('the table has every feature', async t => {
	t.deepEqual([...table.keys()], await featureNames());
});
