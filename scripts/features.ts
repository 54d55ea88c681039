/**
 * `npm run features`: uses each feature on each runtime, and writes the table of the documentation.
 */
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {featureNames, page, useFeature, withTable} from '../test/helpers/features.js';
import {readText, root} from '../test/helpers/repository.js';
import {runtimes} from '../test/helpers/runtimes.js';

const table = new Map<string, Map<string, string>>();
for (const feature of await featureNames()) {
	const cells = new Map<string, string>();
	for (const runtime of runtimes) {
		if (runtime.obstacle !== undefined) throw new Error(runtime.obstacle);
		cells.set(runtime.title, await useFeature(runtime, feature));
	}
	table.set(feature, cells);
	console.log(`${feature}: ${[...cells].map(([title, cell]) => `${title} ${cell}`).join(', ')}`);
}
writeFileSync(join(root, page), withTable(readText(page), table));
