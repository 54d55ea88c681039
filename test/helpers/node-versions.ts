/**
 * The versions of Node that are supported, to run fixtures with, as `npm run nodes` installs them.
 */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

export const thisNode: number = Number(process.versions.node.split('.')[0]);

export const versions = [20, 22, 24, 26] as const;

export const otherVersions: readonly number[] = versions.filter(version => version !== thisNode);

/** Each with each. */
export const pairs: readonly (readonly [number, number])[] = versions.flatMap((one, index) =>
	versions.slice(index + 1).map(other => [one, other] as const),
);

export function nodeOf(version: number): string {
	if (version === thisNode) return process.execPath;
	return fileURLToPath(new URL(`../../nodes/node_modules/node${version}/bin/node`, import.meta.url));
}

/** The reason to skip, or `undefined`. */
export function noNode(version: number): string | undefined {
	return existsSync(nodeOf(version)) ? undefined : `needs Node ${version}; npm run nodes installs it`;
}
