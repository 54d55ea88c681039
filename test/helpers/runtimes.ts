/**
 * The runtimes that tests start fixtures with: the versions of Node (`npm run nodes`), Bun and Deno (`npm run runtimes`).
 */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {nodeOf, noNode, versions} from './node-versions.js';
import type {StartOptions} from './programs.js';

export interface Runtime {
	readonly title: string;
	/** The reason to skip its tests. */
	readonly obstacle: string | undefined;
	/** How a fixture is started. */
	readonly options: Required<Pick<StartOptions, 'executable' | 'nodeOptions'>>;
}

export const nodes: readonly Runtime[] = versions.map(version => ({
	title: `Node ${version}`,
	obstacle: noNode(version),
	options: {executable: nodeOf(version), nodeOptions: []},
}));

export const bun: Runtime = installed('Bun', '@oven/bun-linux-x64/bin/bun', []);
export const deno: Runtime = installed('Deno', '@deno/linux-x64-glibc/deno', ['run', '--quiet', '--allow-all']);

export const runtimes: readonly Runtime[] = [...nodes, bun, deno];

function installed(title: string, path: string, nodeOptions: readonly string[]): Runtime {
	const executable = fileURLToPath(new URL(`../../runtimes/node_modules/${path}`, import.meta.url));
	const obstacle = existsSync(executable) ? undefined : `needs ${title}; npm run runtimes installs it`;
	return {title, obstacle, options: {executable, nodeOptions}};
}
