/**
 * The files of this repository, for tests that read or pack them. The tests may run in a folder of links: see
 * scripts/matrix.ts.
 */
import {readdirSync, readFileSync, realpathSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const here = fileURLToPath(new URL('../../../', import.meta.url));

/** The real directory of package.json. */
export const root: string = dirname(realpathSync(join(here, 'package.json')));

export function readText(path: string): string {
	return readFileSync(join(root, path), 'utf8');
}

/** Returns the paths of all files in a folder and its subfolders, relative to the repository. */
export function filesIn(folder: string, extension: string): string[] {
	return readdirSync(join(root, folder), {recursive: true, encoding: 'utf8'})
		.filter(name => name.endsWith(extension))
		.map(name => join(folder, name))
		.sort();
}

/** Returns the paths of all Markdown pages. */
export function pages(): string[] {
	const top = readdirSync(root).filter(name => name.endsWith('.md'));
	return [...top, ...filesIn('docs', '.md'), ...filesIn('examples', '.md')];
}
