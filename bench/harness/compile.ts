/**
 * Compiles the limits written in C, if there is a compiler.
 */
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {root} from './results.js';

/** @returns the program, or `undefined` without a compiler */
export function compile(name: string, directory: string): string | undefined {
	const source = fileURLToPath(new URL(`bench/c/${name}.c`, root));
	const output = join(directory, name);
	return spawnSync('cc', ['-O2', '-o', output, source], {stdio: 'ignore'}).status === 0 ? output : undefined;
}

export const noCompiler = 'there is no C compiler here';
