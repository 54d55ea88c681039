/**
 * `docs/benchmarks.md`, generated from the stored results only.
 */
import type {Result, Results} from '../harness/results.js';
import {type Section, sections} from './sections.js';

export function page(results: Results): string {
	const parts = sections(results).map(part);
	return `${[head(results), ...parts].join('\n\n')}\n`;
}

function head(results: Results): string {
	const quick = Object.values(results).some(result => result.quick)
		? '\n\n**Some of these figures are from a quick run with few rounds. They only show that the benchmarks work.**'
		: '';
	return `# Benchmarks

<!-- Generated from bench/results/ by \`npm run bench\`; do not edit. -->

This page compares bindlock with the usual recipes, with other lock packages, and with the limit that the kernel sets. All compared programs took turns in one run. Figures are medians; in parentheses are the quartiles and the least value. What a ratio to C means differs between machines, because Node itself makes the same system calls two to five times slower: so the page also has plain Node, making the very same calls, and the goals are stated against that.

\`npm run bench\` measures everything again and writes this page. \`npm run bench -- NAME\` measures one benchmark, and \`--quick\` measures all in a few minutes. \`npm run bench -- --compare FILE\` compares a stored result with another one of the same benchmark. The results are in \`bench/results/\`.${quick}`;
}

function part({title, text, plots, tables, result}: Section): string {
	const images = plots.map(plot => `![${plot.title}](benchmarks/${plot.name}.svg)`);
	const missing = result.unavailable.map(({subject, reason}) => `${subject}: not measured: ${reason}.`);
	return [`## ${title}`, ...text, ...missing, ...images, ...tables, where(result)].join('\n\n');
}

function where({environment, quick}: Result): string {
	const {cpu, cores, memoryGiB, kernel, node, filesystems, date} = environment;
	const disk = filesystems['disk'] ?? '';
	return `_${date}, ${cpu}, ${cores} processors, ${memoryGiB} GiB, ${kernel}, Node ${node.slice(1)}, tmpfs and ${disk}${quick ? '; quick run' : ''}._`;
}
