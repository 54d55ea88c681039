/**
 * The layout of a table on a terminal.
 */
import {escaped} from '../../model/text.js';
import {colored, terminalColumns} from '../output.js';

/**
 * Lays out rows in columns as wide as their widest cell. On a terminal one column is cut so that each row fits a line.
 *
 * @param texts the cells, which are escaped here: other users choose some of them. The first column has states
 * @param cut the index of the column to cut
 */
export function table(texts: readonly (readonly string[])[], cut: number): string {
	const rows = texts.map(row => row.map(escaped));
	const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)));
	const columns = terminalColumns();
	const total = widths.reduce((sum, width) => sum + width + 2, -2);
	if (columns !== undefined && total > columns) {
		widths[cut] = Math.max(12, (widths[cut] ?? 0) - (total - columns));
	}
	const lines = rows.map(row => {
		const cells = row.map((cell, column) => {
			const width = widths[column] ?? 0;
			const fitted = cell.length > width ? `${cell.slice(0, width - 1)}…` : cell;
			if (column === 0) return colored(fitted, width);
			return column === row.length - 1 ? fitted : fitted.padEnd(width);
		});
		return cells.join('  ').trimEnd();
	});
	return `${lines.join('\n')}\n`;
}
