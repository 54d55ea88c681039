/**
 * Runs the code blocks of the documentation, page by page, and compares their output.
 */

import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import ts from 'typescript';
import {lacking, noFlockCommand, noPgrep, noPidNamespaces, noPython, testUnless} from '../helpers/abilities.js';
import {blocksOf, follow, isTested} from '../helpers/pages.js';
import {temporaryDirectory} from '../helpers/programs.js';
import {pages, readText, root} from '../helpers/repository.js';
import {bun, deno} from '../helpers/runtimes.js';

for (const page of pages()) {
	const blocks = blocksOf(page);
	const tested = blocks.filter(isTested);
	const text = tested.map(block => block.text).join('');
	const needs = [
		text.includes('python3') ? noPython() : undefined,
		/\bpkill\b|\bpgrep\b/.test(text) ? noPgrep() : undefined,
		text.includes('unshare') ? noPidNamespaces() : undefined,
		text.includes('flock -') ? noFlockCommand() : undefined,
		text.includes('curl ') ? lacking('curl') : undefined,
		/^bun /m.test(text) ? bun.obstacle : undefined,
		/^deno /m.test(text) ? deno.obstacle : undefined,
	];
	if (tested.length > 0) {
		testUnless(...needs)(`${page}: its ${tested.length} tested blocks run as described`, async t => {
			await follow(t, page, temporaryDirectory(t));
		});
	}
	for (const block of blocks.filter(({language}) => ['js', 'ts'].includes(language))) {
		test(`${block.where} is valid ${block.language}`, t => {
			const {diagnostics = []} = ts.transpileModule(block.text, {
				reportDiagnostics: true,
				compilerOptions: {target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext},
			});
			t.deepEqual(
				diagnostics.map(({messageText}) => messageText),
				[],
			);
		});
	}
}

test('the code of README, tutorial and examples is tested', t => {
	for (const page of ['README.md', 'docs/tutorial.md', 'examples/README.md']) {
		t.true(
			blocksOf(page).some(({words}) => words.includes('run')),
			page,
		);
	}
});

test('every example is run from its page', t => {
	const page = readText('examples/README.md');
	const programs = readdirSync(join(root, 'examples')).filter(name => /\.(js|sh|py)$/.test(name));
	t.true(programs.length >= 5);
	for (const name of programs) t.regex(page, new RegExp(`^(node|sh) ${name.replace('.', '\\.')}$`, 'm'), name);
});
