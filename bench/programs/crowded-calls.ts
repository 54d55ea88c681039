/**
 * The calls that are measured on a crowded machine.
 */
export const crowdedCalls = [
	'acquire, free',
	'acquire, stale',
	'acquire, a foreign server',
	'acquire, one of the 20,000',
	'acquire, held',
	'inspect, free',
	'inspect, a foreign server',
	'inspect, held',
	'acquire, abstract and free',
] as const;
export type CrowdedCall = (typeof crowdedCalls)[number];
