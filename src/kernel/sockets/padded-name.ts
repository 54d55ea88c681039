/**
 * The padded spelling of abstract names.
 *
 * Node 20 pads an abstract name to the 108 bytes of `sun_path`; later versions bind its exact length (`unix(7)`). Only a
 * name of full length is the same address to all of them.
 */

/** Returns the name padded with NULs to 108 bytes, as `listen` and `connect` take it. */
export function paddedName(name: string): string {
	return `\0${name}`.padEnd(108 - Buffer.byteLength(name) + name.length, '\0');
}

/** Returns an abstract name, with its leading NUL, as /proc/net/unix shows it: each NUL as `@`. */
export function nameInTable(name: string): string {
	return name.replaceAll('\0', '@');
}
