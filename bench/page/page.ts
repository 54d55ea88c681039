/**
 * `docs/benchmarks.md`, of the kept results and nothing else.
 */
import type {Result, Results} from '../harness/results.js';
import {type Section, sections} from './sections.js';

export function page(results: Results): string {
	const parts = sections(results).map(part);
	return `${[head(results), ...parts].join('\n\n')}\n`;
}

function head(results: Results): string {
	const quick = Object.values(results).some(result => result.quick)
		? '\n\n**Some of these figures are of a quick run, with few rounds: they show that the benchmarks work, and little else.**'
		: '';
	return `# Benchmarks

<!-- Generated from bench/results/ by \`npm run bench\`; do not edit. -->

bindlock beside the recipes, the locks of the registry, and the kernel’s own limit. Everything that is compared ran by turns in one run. Figures are medians, with the quartiles in parentheses. \`npm run bench\` measures everything again and writes this page, \`npm run bench -- NAME\` one benchmark, and \`--quick\` takes less than two minutes in all; what was measured is in \`bench/results/\`.${quick}`;
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
