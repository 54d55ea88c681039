/**
 * What a list of values says: the middle, and how far half of them lie from it. Medians, because one
 * stall of a shared machine must not move a result.
 */

export interface Summary {
	readonly median: number;
	/** The quartiles: half of the values lie between them. */
	readonly low: number;
	readonly high: number;
	readonly count: number;
}

/** @throws RangeError if there is nothing to summarise */
export function summarise(values: readonly number[]): Summary {
	const sorted = [...values].sort((one, other) => one - other);
	return {
		median: quantile(sorted, 0.5),
		low: quantile(sorted, 0.25),
		high: quantile(sorted, 0.75),
		count: sorted.length,
	};
}

export function median(values: readonly number[]): number {
	return summarise(values).median;
}

/** Between the two nearest of the sorted values, in proportion. */
function quantile(sorted: readonly number[], share: number): number {
	const position = (sorted.length - 1) * share;
	const below = sorted[Math.floor(position)];
	const above = sorted[Math.ceil(position)];
	if (below === undefined || above === undefined) throw new RangeError('no values');
	return below + (above - below) * (position - Math.floor(position));
}

/** Four significant digits: more is noise, and makes the kept results long. */
export function rounded(value: number): number {
	return Number(value.toPrecision(4));
}
