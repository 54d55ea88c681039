/**
 * The files of this repository, for tests that read or pack them. The tests may run in a folder that
 * only links to them: see scripts/matrix.ts.
 */
import {readdirSync, readFileSync, realpathSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = fileURLToPath(new URL('../../../', import.meta.url));

/** Where package.json really is. */
export const root: string = dirname(realpathSync(join(here, 'package.json')));

export function readText(path: string): string {
	return readFileSync(join(root, path), 'utf8');
}

/** The paths of all files in a folder and below it, relative to the repository. */
export function filesIn(folder: string, extension: string): string[] {
	return readdirSync(join(root, folder), {recursive: true, encoding: 'utf8'})
		.filter(name => name.endsWith(extension))
		.map(name => join(folder, name))
		.sort();
}

/** What is read by people: every page in Markdown. */
export function pages(): string[] {
	const top = readdirSync(root).filter(name => name.endsWith('.md'));
	return [...top, ...filesIn('docs', '.md'), ...filesIn('examples', '.md')];
}
