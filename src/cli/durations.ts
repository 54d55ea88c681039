/**
 * Durations: those that are given (`500ms`, `30s`, `5m`) and those that are shown.
 */
import {UsageError} from './failures.js';

const units = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000} as const;

/** @returns milliseconds */
export function parseDuration(option: string, text: string): number {
	if (text === 'forever') return Number.POSITIVE_INFINITY;
	const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
	if (number === undefined) {
		throw new UsageError(`--${option}: ${JSON.stringify(text)} is no duration; write 500ms, 30s, 5m`);
	}
	return Number(number) * units[unit as keyof typeof units];
}

/** In its largest unit: `3d`, `5h`, `12m`, `40s`. */
export function showAge(since: Date | undefined): string {
	if (since === undefined) return '-';
	const age = Math.max(0, Date.now() - since.getTime());
	for (const unit of ['d', 'h', 'm'] as const) {
		if (age >= units[unit]) return `${Math.floor(age / units[unit])}${unit}`;
	}
	return `${Math.floor(age / units.s)}s`;
}
