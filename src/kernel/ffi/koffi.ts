/**
 * The FFI of the package koffi, if the user has installed it.
 */
import {createRequire} from 'node:module';
import {type CFunctions, described, type Signatures, withErrno} from './c-library.js';

/** What bindlock uses of koffi. */
interface Koffi {
	/** @param path `null` for the libraries that the process has loaded */
	load(path: null): {func(name: string, result: string, parameters: readonly string[]): (...all: unknown[]) => number};
	errno(): number;
}

/** See `OpenLibrary`. */
export function openByKoffi<Name extends string>(signatures: Signatures<Name>): CFunctions<Name> {
	const koffi = createRequire(import.meta.url)('koffi') as Koffi;
	const library = koffi.load(null);
	const names = described(signatures, parameters => parameters.map(type => types[type]));
	const functions = {} as Record<Name, CFunctions<Name>[Name]>;
	for (const name of Object.keys(names) as Name[]) functions[name] = library.func(name, 'int', names[name]);
	return withErrno(signatures, functions, () => koffi.errno());
}

const types = {int: 'int', buffer: 'void *'} as const;
