/**
 * The FFI that the runtime itself has: of Bun, Deno or Node.
 */
import {openByBun} from './bun.js';
import {type CFunctions, firstOf, type Signatures} from './c-library.js';
import {openByDeno} from './deno.js';
import {openByNode} from './node.js';

/** See `OpenLibrary`. */
export function openByRuntime<Name extends string>(signatures: Signatures<Name>): CFunctions<Name> {
	return firstOf([openByBun, openByDeno, openByNode], open => open(signatures));
}
