/**
 * Tests that each relative link and anchor exists, and that the index lists each page.
 */
import {existsSync} from 'node:fs';
import {dirname, join, normalize} from 'node:path';
import test from 'ava';
import {pages, readText, root} from '../helpers/repository.js';

interface Link {
	readonly target: string;
	readonly line: number;
}

for (const page of pages()) {
	test(`${page}: its links exist`, t => {
		const links = linksOf(readText(page));
		if (links.length === 0) t.pass();
		for (const {target, line} of links) {
			if (/^[a-z]+:/.test(target)) {
				t.notThrows(() => new URL(target));
				continue;
			}
			const [path = '', anchor] = target.split('#');
			const file = path === '' ? page : normalize(join(dirname(page), path));
			t.true(existsSync(join(root, file)), `${page}:${line}: ${target}`);
			if (anchor === undefined || !file.endsWith('.md')) continue;
			t.true(anchorsOf(readText(file)).includes(anchor), `${page}:${line}: ${target} has no such heading`);
		}
	});
}

test('every page in docs/ is in its index', t => {
	const listed = linksOf(readText('docs/README.md')).map(({target}) => join('docs', target.split('#')[0] ?? ''));
	for (const page of pages().filter(path => path.startsWith('docs/') && path !== 'docs/README.md')) {
		t.true(listed.includes(page), `${page} is not in docs/README.md`);
	}
});

test('the check reports missing pages and anchors', t => {
	const text = '# A `b`: c\n[x](y.md#z)\n```\n[no](link)\n```\n<img src="p.svg"> `[no](code)`\n## A b c\n## A b c\n';
	t.deepEqual(
		linksOf(text).map(({target}) => target),
		['y.md#z', 'p.svg'],
	);
	t.deepEqual(anchorsOf(text), ['a-b-c', 'a-b-c-1', 'a-b-c-2']);
});

function linksOf(text: string): Link[] {
	const prose = blanked(text).replace(/`[^`\n]*`/g, code => ' '.repeat(code.length));
	const found = [...prose.matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"/g)];
	return found.map(match => ({
		target: match[1] ?? match[2] ?? '',
		line: prose.slice(0, match.index).split('\n').length,
	}));
}

/** Returns the anchors of the headings as GitHub makes them. Repeated headings are numbered. */
function anchorsOf(text: string): string[] {
	const seen = new Map<string, number>();
	return [...blanked(text).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => {
		const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
		const anchor = words.replace(/[^\p{Letter}\p{Number}_ -]/gu, '').replaceAll(' ', '-');
		const times = seen.get(anchor) ?? 0;
		seen.set(anchor, times + 1);
		return times === 0 ? anchor : `${anchor}-${times}`;
	});
}

/** Empties code blocks, and keeps the line numbers. */
function blanked(text: string): string {
	return text.replace(/^```[\s\S]*?^```$/gm, block => block.replace(/[^\n]/g, ''));
}
