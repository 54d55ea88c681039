/**
 * Packages that only the benchmarks have, from `bench/node_modules`: a peer that could not be installed
 * or built here is a result, not an error.
 */
import {createRequire} from 'node:module';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {root} from './results.js';

const requireFromBench = createRequire(fileURLToPath(new URL('bench/package.json', root)));

/** What the package exports; its types are the caller's word, for they are not always installed. */
export async function load<Module>(name: string): Promise<Module> {
	const module = (await import(pathToFileURL(requireFromBench.resolve(name)).href)) as {default?: Module};
	return module.default ?? (module as Module);
}

/** Why it cannot be used here, or `undefined` if it can. */
export async function obstacle(name: string): Promise<string | undefined> {
	try {
		await load(name);
		return undefined;
	} catch (error) {
		// No message: it would have this machine's paths.
		const {code} = error as NodeJS.ErrnoException;
		return `could not be installed, built or loaded here (${code ?? (error as Error).name})`;
	}
}
