/**
 * The FFI that the runtime itself has: of Bun, Deno or Node.
 */
import {openByBun} from './bun.js';
import type {CFunctions, Signatures} from './c-library.js';
import {openByDeno} from './deno.js';
import {openByNode} from './node.js';

/** See `OpenLibrary`. */
export function openByRuntime<Name extends string>(signatures: Signatures<Name>): CFunctions<Name> {
	const reasons: string[] = [];
	for (const open of [openByBun, openByDeno, openByNode]) {
		try {
			return open(signatures);
		} catch (error) {
			reasons.push((error as Error).message);
		}
	}
	throw new Error(reasons.join('; '));
}
