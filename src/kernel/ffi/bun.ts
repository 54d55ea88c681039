/**
 * The FFI of Bun, `bun:ffi`.
 */
import {type CFunctions, described, errnoLocation, openByName, type Signatures, withErrno} from './c-library.js';

/** What bindlock uses of `bun:ffi`. */
interface BunFfi {
	dlopen(path: string, symbols: Readonly<Record<string, object>>): {readonly symbols: object};
	readonly read: {i32(pointer: number, offset: number): number};
}

/** See `OpenLibrary`. */
export function openByBun<Name extends string>(signatures: Signatures<Name>): CFunctions<Name> {
	const ffi = process.getBuiltinModule('bun:ffi') as unknown as BunFfi | undefined;
	if (ffi === undefined) throw new Error('bun:ffi: this runtime does not have it');
	const {symbols} = openByName(name =>
		ffi.dlopen(name, {
			...described(signatures, parameters => ({args: parameters.map(type => types[type]), returns: 'i32'})),
			[errnoLocation]: {args: [], returns: 'ptr'},
		}),
	);
	const location = (symbols as Record<string, () => number>)[errnoLocation] as () => number;
	return withErrno(signatures, symbols as CFunctions<Name>, () => ffi.read.i32(location(), 0));
}

const types = {int: 'i32', buffer: 'ptr'} as const;
