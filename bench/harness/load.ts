/**
 * Packages of the benchmarks only, from `bench/node_modules`. A peer that cannot be installed or built here is a
 * result, not an error.
 */
import {createRequire} from 'node:module';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {root} from './results.js';

const requireFromBench = createRequire(fileURLToPath(new URL('bench/package.json', root)));

/** The exports of the package. The caller states their type, because the package may not be installed. */
export async function load<Module>(name: string): Promise<Module> {
	const module = (await import(pathToFileURL(requireFromBench.resolve(name)).href)) as {default?: Module};
	return module.default ?? (module as Module);
}

/** The reason why the package cannot be used here, or `undefined`. */
export async function obstacle(name: string): Promise<string | undefined> {
	try {
		await load(name);
		return undefined;
	} catch (error) {
		// Without the message, which has paths of this machine.
		const {code} = error as NodeJS.ErrnoException;
		return `could not be installed, built or loaded here (${code ?? (error as Error).name})`;
	}
}
