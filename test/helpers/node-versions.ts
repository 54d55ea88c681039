/**
 * The supported versions of Node, as installed by `npm run nodes`, to run fixtures with.
 */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

export const thisNode: number = Number(process.versions.node.split('.')[0]);

export const versions = [20, 22, 24, 26] as const;

export const otherVersions: readonly number[] = versions.filter(version => version !== thisNode);

/** All pairs of versions. */
export const pairs: readonly (readonly [number, number])[] = versions.flatMap((one, index) =>
	versions.slice(index + 1).map(other => [one, other] as const),
);

export function nodeOf(version: number): string {
	if (version === thisNode) return process.execPath;
	return fileURLToPath(new URL(`../../nodes/node_modules/node${version}/bin/node`, import.meta.url));
}

/** Returns the reason to skip if this version is not installed. */
export function noNode(version: number): string | undefined {
	return existsSync(nodeOf(version)) ? undefined : `needs Node ${version}; npm run nodes installs it`;
}
