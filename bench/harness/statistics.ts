/**
 * The summary of a list of values: the median and the quartiles. A mean would follow a single stall of a shared
 * machine.
 */

export interface Summary {
	readonly least: number;
	readonly median: number;
	/** The quartiles: half of the values lie between them. */
	readonly low: number;
	readonly high: number;
	readonly count: number;
}

/** @throws RangeError if the list is empty */
export function summarise(values: readonly number[]): Summary {
	const sorted = [...values].sort((one, other) => one - other);
	return {
		least: quantile(sorted, 0),
		median: quantile(sorted, 0.5),
		low: quantile(sorted, 0.25),
		high: quantile(sorted, 0.75),
		count: sorted.length,
	};
}

export function median(values: readonly number[]): number {
	return summarise(values).median;
}

/** Interpolates between the two nearest sorted values. */
function quantile(sorted: readonly number[], share: number): number {
	const position = (sorted.length - 1) * share;
	const below = sorted[Math.floor(position)];
	const above = sorted[Math.ceil(position)];
	if (below === undefined || above === undefined) throw new RangeError('no values');
	return below + (above - below) * (position - Math.floor(position));
}

/** Rounds to four significant digits: more is noise. */
export function rounded(value: number): number {
	return Number(value.toPrecision(4));
}
