/**
 * Makes scenarios from casts, with the shipped protocol or a mutant.
 */
import {ownAbstract} from './abstract-programs.js';
import {type Cast, long, quick, slower} from './casts.js';
import {type GenerationOptions, generation} from './hand-over-programs.js';
import {mutants} from './mutants.js';
import {own} from './programs.js';
import type {Scenario} from './state.js';

export const quickScenarios: readonly string[] = Object.keys(quick);
/** Those of the quick scenarios that `npm test` runs. */
export const quickestScenarios: readonly string[] = quickScenarios.filter(name => !slower.includes(name));
export const slowerScenarios: readonly string[] = slower;
export const longScenarios: readonly string[] = Object.keys(long);

/**
 * @param mutant the name of the mutant that bindlock processes run; empty: the shipped protocol
 * @param exact whether all answers distinguish two processes
 */
export function scenario(name: string, mutant = '', exact = false): Scenario {
	const cast: Cast | undefined = quick[name] ?? long[name];
	if (cast === undefined) throw new Error(`there is no scenario "${name}"`);
	const {parts, abstractParts, handOverParts} = mutants[mutant] ?? {};
	const {handOver} = cast;
	const generations = Array.from({length: handOver?.generations ?? 0}, (_, number) =>
		generation(number, {...(handOver as GenerationOptions), exact}, mutant, handOverParts),
	);
	const programs = [
		...generations,
		...(cast.own ?? []).map(options => own(exact ? {...options, exact} : options, mutant, parts)),
		...(cast.ownAbstract ?? []).map(options => ownAbstract(options, mutant, abstractParts)),
		...(cast.others ?? []),
	];
	return {
		name,
		programs,
		budget: {crashes: cast.crashes ?? 0, errors: cast.errors ?? 0},
		promise: cast.promise ?? 'all',
		kind: cast.ownAbstract === undefined ? 'pathname' : 'abstract',
		...(handOver === undefined ? {} : {handOver: handOver.stays ? ('stays' as const) : ('stops' as const)}),
		...(cast.noatime ? {noatime: true} : {}),
		...(cast.prepare === undefined ? {} : {prepare: cast.prepare}),
		...(cast.refused === undefined ? {} : {refused: cast.refused}),
	};
}
