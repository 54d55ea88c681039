/**
 * Writes the page and its plots from the stored results.
 */
import {mkdirSync, writeFileSync} from 'node:fs';
import {readResults, root} from '../harness/results.js';
import {page} from './page.js';
import {draw} from './plots.js';
import {sections} from './sections.js';

export async function generate(): Promise<void> {
	const results = readResults();
	mkdirSync(new URL('docs/benchmarks/', root), {recursive: true});
	for (const plot of sections(results).flatMap(section => section.plots)) {
		writeFileSync(new URL(`docs/benchmarks/${plot.name}.svg`, root), await draw(plot));
	}
	writeFileSync(new URL('docs/benchmarks.md', root), page(results));
}
