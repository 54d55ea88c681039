/**
 * Tests that the documentation covers every error code, diagnostics channel, option and export of the source.
 */
import {join} from 'node:path';
import test from 'ava';
import ts from 'typescript';
import {filesIn, readText, root} from '../helpers/repository.js';

const sources: readonly string[] = filesIn('src', '.ts');

/** Codes that the source only compares with or handles where they arise. */
const handled: readonly string[] = [
	...['EAGAIN', 'EBADF', 'ECONNREFUSED', 'ECONNRESET', 'EEXIST', 'EPIPE', 'EPROTOTYPE', 'ESRCH', 'ETIMEDOUT', 'ENOMEM'],
	// Of proper-lockfile.
	'ELOCKED',
];

test('every error code in the source is in docs/errors.md or handled internally', t => {
	const page = readText('docs/errors.md');
	const codes = new Set(
		sources.flatMap(path =>
			[...readText(path).matchAll(/['`](ERR_[A-Z_]+|E[A-Z]{3,})['`]/g)].map(([, code = '']) => code),
		),
	);
	t.true(codes.size > 30, String(codes.size));
	for (const code of codes) {
		if (!handled.includes(code) && !code.endsWith('_')) t.true(page.includes(`\`${code}\``), code);
	}
});

test('every error code in docs/errors.md exists in the source', t => {
	const source = sources.map(readText).join('');
	for (const [, code = ''] of readText('docs/errors.md').matchAll(/`(ERR_[A-Z_]+)`/g)) {
		const [, first = '', rest = ''] = /^(ERR_HOLDER_)(.*)$/.exec(code) ?? [];
		t.true(source.includes(code) || (first !== '' && source.includes(first) && rest !== ''), code);
	}
});

test('every diagnostics channel is in docs/diagnostics.md', t => {
	const page = readText('docs/diagnostics.md');
	const channels = new Set(sources.flatMap(path => readText(path).match(/bindlock:[a-z][a-z-]*/g) ?? []));
	t.true(channels.size >= 2);
	for (const channel of channels) t.true(page.includes(`\`${channel}\``), channel);
});

test('every exported member of index.ts has a comment', t => {
	const program = ts.createProgram(
		sources.map(path => join(root, path)),
		{target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext},
	);
	const checker = program.getTypeChecker();
	const index = program.getSourceFile(join(root, 'src/index.ts'));
	const symbol = index && checker.getSymbolAtLocation(index);
	const exported = symbol === undefined ? [] : checker.getExportsOfModule(symbol);
	t.true(exported.length >= 8, String(exported.length));
	for (const one of exported) {
		const real = one.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(one) : one;
		t.not(ts.displayPartsToString(real.getDocumentationComment(checker)), '', real.name);
		for (const member of real.members?.values() ?? []) {
			if (member.flags & ts.SymbolFlags.Property)
				t.not(ts.displayPartsToString(member.getDocumentationComment(checker)), '', `${real.name}.${member.name}`);
		}
	}
});
