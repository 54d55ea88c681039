/**
 * What works on which runtime: runs test/fixtures/features.ts, and makes the table of the README from the results.
 */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {runToEnd} from './command.js';
import {readText} from './repository.js';
import {type Runtime, runtimes} from './runtimes.js';

const fixture: string = fileURLToPath(new URL('../fixtures/features.js', import.meta.url));

export async function featureNames(): Promise<readonly string[]> {
	const {stdout} = await runToEnd(process.execPath, [fixture, 'list']);
	return JSON.parse(stdout) as readonly string[];
}

/**
 * Uses one feature on one runtime.
 *
 * @returns the cell of the table: `yes`, the code of bindlock's error, or a dash if the runtime has no such thing
 * @throws an error if the feature neither works nor is refused
 */
export async function useFeature({title, options}: Runtime, feature: string): Promise<string> {
	const directory = mkdtempSync(join(tmpdir(), 'bl-'));
	try {
		const {executable, nodeOptions} = options;
		const env = {LAUNCHER: JSON.stringify(nodeOptions), BINDLOCK_FLOCK: ''};
		const {stdout, stderr, status} = await runToEnd(executable, [...nodeOptions, fixture, feature, directory], {env});
		const [line] = /^{"event":"outcome".*$/m.exec(stdout) ?? [];
		if (line === undefined || status !== 0)
			throw new Error(`${title}: ${feature}: status ${status}: ${stdout}${stderr}`);
		const {outcome, code} = JSON.parse(line) as {outcome: string; code?: string};
		return outcome === 'works' ? 'yes' : code === undefined ? '–' : `\`${code}\``;
	} finally {
		rmSync(directory, {recursive: true, force: true});
	}
}

/** The rows of the table, by feature and then by runtime. */
export type Table = ReadonlyMap<string, ReadonlyMap<string, string>>;

export const page = 'README.md';

const [begin, end] = ['<!-- The table of features: npm run features -->', '<!-- The end of the table of features -->'];

/** Writes a table into the text of the page. */
export function withTable(text: string, table: Table): string {
	const titles = runtimes.map(({title}) => title);
	const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
	const rows = [...table].map(([feature, cells]) => row([feature, ...titles.map(title => cells.get(title) ?? '')]));
	const lines = [row(['', ...titles]), row(['---', ...titles.map(() => '---')]), ...rows];
	const [before = ''] = text.split(begin);
	const [, after = ''] = text.split(end);
	return `${before}${begin}\n\n${lines.join('\n')}\n\n${end}${after}`;
}

/** Reads the table of the page. */
export function tableOfPage(): Table {
	const [, rest = ''] = readText(page).split(begin);
	const [header = [], , ...rows] = (rest.split(end)[0] ?? '').trim().split('\n').map(cellsOf);
	return new Map(
		rows.map(([feature = '', ...cells]) => [
			feature,
			new Map(cells.map((cell, index) => [header[index + 1] ?? '', cell])),
		]),
	);
}

function cellsOf(line: string): string[] {
	return line
		.split('|')
		.slice(1, -1)
		.map(cell => cell.trim());
}
