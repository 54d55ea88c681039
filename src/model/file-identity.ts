/**
 * The identity of a file: its device and inode number.
 */

export interface FileIdentity {
	readonly dev: number | bigint;
	readonly ino: number | bigint;
}

/** Whether both are the same inode. Compares by value, because stat returns bigints only on request. */
export function isSameFile<Found extends FileIdentity>(found: Found | undefined, file: FileIdentity): found is Found {
	return found !== undefined && BigInt(found.ino) === BigInt(file.ino) && BigInt(found.dev) === BigInt(file.dev);
}
