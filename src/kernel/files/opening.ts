/**
 * Opening files for a moment, and a flag of open(2) that Node does not name.
 */
import {closeSync, openSync, type PathLike} from 'node:fs';

/** `O_PATH`: a descriptor that refers to a file and opens nothing, not even a socket. `undefined` outside of Linux. */
export const oPath: number | undefined = process.platform === 'linux' ? 0o10000000 : undefined;

/** Calls `use` with a descriptor of the file, and closes it afterwards. */
export function withOpen<Result>(path: PathLike, flags: number, use: (descriptor: number) => Result): Result {
	const descriptor = openSync(path, flags);
	try {
		return use(descriptor);
	} finally {
		closeSync(descriptor);
	}
}
