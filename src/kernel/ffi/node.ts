/**
 * The FFI of Node, `node:ffi`: experimental, on by default since Node 26.
 */
import {type CFunctions, described, errnoLocation, type Signatures, withErrno} from './c-library.js';

/** What bindlock uses of `node:ffi`. */
interface NodeFfi {
	/** @param path `null` for the libraries that the process has loaded */
	dlopen(path: null, definitions: Readonly<Record<string, object>>): {readonly functions: object};
	getInt32(pointer: bigint): number;
}

/** See `OpenLibrary`. */
export function openByNode<Name extends string>(signatures: Signatures<Name>): CFunctions<Name> {
	const ffi = withoutWarning(() => process.getBuiltinModule('node:ffi') as unknown as NodeFfi | undefined);
	if (ffi === undefined) throw new Error('node:ffi: this runtime does not have it, or it is disabled');
	const {functions} = ffi.dlopen(null, {
		...described(signatures, parameters => ({arguments: parameters.map(type => types[type]), return: 'i32'})),
		[errnoLocation]: {arguments: [], return: 'pointer'},
	});
	const location = (functions as Record<string, () => bigint>)[errnoLocation] as () => bigint;
	return withErrno(signatures, functions as CFunctions<Name>, () => ffi.getInt32(location()));
}

const types = {int: 'i32', buffer: 'buffer'} as const;

/**
 * The warning that the API is experimental is for programs that have chosen it. Here another way takes its place if it
 * changes.
 */
function withoutWarning<Result>(load: () => Result): Result {
	const {emitWarning} = process;
	process.emitWarning = () => {};
	try {
		return load();
	} finally {
		process.emitWarning = emitWarning;
	}
}
