/**
 * Other versions of Node to run fixtures with, as `npm run nodes` installs them.
 */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

export const otherVersions = [22, 24, 26] as const;

export function nodeOf(version: number): string {
	return fileURLToPath(new URL(`../../nodes/node_modules/node${version}/bin/node`, import.meta.url));
}

/** The reason to skip, or `undefined`. */
export function noNode(version: number): string | undefined {
	return existsSync(nodeOf(version)) ? undefined : `needs Node ${version}; npm run nodes installs it`;
}
