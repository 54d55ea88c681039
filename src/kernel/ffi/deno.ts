/**
 * The FFI of Deno, `Deno.dlopen`.
 */
import {type CFunctions, described, errnoLocation, openByName, type Signatures, withErrno} from './c-library.js';

/** What bindlock uses of `Deno`. */
interface DenoFfi {
	dlopen(path: string, symbols: Readonly<Record<string, object>>): {readonly symbols: object};
	readonly UnsafePointerView: new (pointer: object) => {getInt32(): number};
	readonly permissions: {querySync(descriptor: {readonly name: 'ffi'}): {readonly state: string}};
}

/** See `OpenLibrary`. */
export function openByDeno<Name extends string>(signatures: Signatures<Name>): CFunctions<Name> {
	const {Deno: deno} = globalThis as {readonly Deno?: DenoFfi};
	if (deno?.dlopen === undefined) throw new Error('Deno.dlopen: this runtime does not have it');
	// Asked first, because on a terminal dlopen() would ask the user.
	if (deno.permissions.querySync({name: 'ffi'}).state !== 'granted') {
		throw new Error('Deno.dlopen: needs the permission --allow-ffi');
	}
	const {symbols} = openByName(name =>
		deno.dlopen(name, {
			...described(signatures, parameters => ({parameters: parameters.map(type => types[type]), result: 'i32'})),
			[errnoLocation]: {parameters: [], result: 'pointer'},
		}),
	);
	const location = (symbols as Record<string, () => object>)[errnoLocation] as () => object;
	return withErrno(signatures, symbols as CFunctions<Name>, () => new deno.UnsafePointerView(location()).getInt32());
}

const types = {int: 'i32', buffer: 'buffer'} as const;
