/**
 * How things look: tables, colours, and the JSON of what the library tells.
 */
import type {BindLockError} from '../model/errors.js';
import type {Holder} from '../model/holder.js';
import {escaped, quoted} from '../model/text.js';
import {terminalColumns, wantsColor, writeData} from './output.js';

export function printJson(value: object): void {
	writeData(`${quoted(value)}\n`);
}

export function reasonJson(reason: BindLockError | undefined): {code: string; message: string} | undefined {
	return reason && {code: reason.code, message: reason.message};
}

/** As the fields of the library, in an order that does not change. */
export function holderJson(holder: Holder | undefined): object | undefined {
	if (holder === undefined) return undefined;
	const {pid, uid, command, since, label, host, verified} = holder;
	return {pid, uid, command, since, label, host, verified};
}

const colors: Readonly<Record<string, number>> = {
	free: 32,
	ok: 32,
	stale: 33,
	warning: 33,
	masked: 33,
	unknown: 33,
	held: 36,
	foreign: 35,
	blocked: 31,
	problem: 31,
};

/** A state in its colour, padded. */
export function colored(word: string, width = 0): string {
	const color = colors[word];
	const padded = word.padEnd(width);
	return color === undefined || !wantsColor() ? padded : `\u001B[${color}m${padded}\u001B[39m`;
}

/**
 * Columns as wide as their widest cell; on a terminal one of them is cut so that a row fits a line.
 *
 * @param texts of other users, too: they are escaped here
 * @param first the column with states, to be coloured
 */
export function table(texts: readonly (readonly string[])[], cut: number, first = 0): string {
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
			if (column === first) return colored(fitted, width);
			return column === row.length - 1 ? fitted : fitted.padEnd(width);
		});
		return cells.join('  ').trimEnd();
	});
	return `${lines.join('\n')}\n`;
}
