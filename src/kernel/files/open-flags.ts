/**
 * Flags of open(2) that Node does not name.
 */

/** `O_PATH`: a descriptor that refers to a file and opens nothing, not even a socket. `undefined` outside of Linux. */
export const oPath: number | undefined = process.platform === 'linux' ? 0o10000000 : undefined;
