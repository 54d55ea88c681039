/**
 * Functions of the C library, called by a foreign function interface (FFI). Each runtime has its own; they share this
 * interface.
 */

/** Parameters of C functions, as far as bindlock needs them. `'buffer'` is a pointer to the bytes. */
export type ParameterType = 'int' | 'buffer';

/** The parameters of C functions that return an `int`, which is -1 for an error in `errno`. */
export type Signatures<Name extends string> = Readonly<Record<Name, readonly ParameterType[]>>;

/** The functions of an FFI. */
export type CFunctions<Name extends string> = Readonly<
	Record<Name, (...parameters: readonly (number | Uint8Array)[]) => number>
>;

/**
 * Finds functions of the C library. They return the negative `errno` instead of -1, as the kernel does.
 *
 * @throws an error with the whole reason, if this FFI cannot be used
 */
export type OpenLibrary = <Name extends string>(signatures: Signatures<Name>) => CFunctions<Name>;

/** The C function that returns the address of `errno` (`errno(3)`). */
export const errnoLocation: string = process.platform === 'darwin' ? '__error' : '__errno_location';

/**
 * Opens the C library by the first of its file names that exists: of glibc, of musl, of macOS. It is loaded already, so
 * this finds the one in use.
 */
export function openByName<Library>(open: (name: string) => Library): Library {
	return firstOf(process.platform === 'darwin' ? ['libSystem.B.dylib'] : ['libc.so.6', muslName()], open);
}

/** Returns the result of the first candidate that can be opened. @throws an error with the reasons of all of them */
export function firstOf<Candidate, Result>(
	candidates: readonly Candidate[],
	open: (candidate: Candidate) => Result,
): Result {
	const reasons: string[] = [];
	for (const candidate of candidates) {
		try {
			return open(candidate);
		} catch (error) {
			reasons.push((error as Error).message);
		}
	}
	throw new Error(reasons.join('; '));
}

function muslName(): string {
	const names: Readonly<Record<string, string>> = {x64: 'x86_64', arm64: 'aarch64'};
	return `libc.musl-${names[process.arch] ?? process.arch}.so.1`;
}

/** Makes functions return the negative `errno` instead of -1. Others that the library has are ignored. */
export function withErrno<Name extends string>(
	signatures: Signatures<Name>,
	functions: CFunctions<Name>,
	errno: () => number,
): CFunctions<Name> {
	const calls = {} as Record<Name, CFunctions<Name>[Name]>;
	for (const name of Object.keys(signatures) as Name[]) {
		calls[name] = (...parameters) => {
			const result = functions[name](...parameters);
			if (result !== -1) return result;
			// The runtime may have cleared errno meanwhile. A failure must not look like the result 0.
			return -(errno() || unknownError);
		};
	}
	return calls;
}

/** `EPERM`: an error that no caller takes for contention. */
const unknownError = 1;

/** Describes the functions to an FFI. */
export function described<Name extends string, Description>(
	signatures: Signatures<Name>,
	describe: (parameters: readonly ParameterType[]) => Description,
): Record<Name, Description> {
	const descriptions = {} as Record<Name, Description>;
	for (const name of Object.keys(signatures) as Name[]) descriptions[name] = describe(signatures[name]);
	return descriptions;
}
