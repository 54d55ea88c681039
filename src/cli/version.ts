/**
 * The version of this package.
 */
import {readFileSync} from 'node:fs';

/** Reads the version from the nearest package.json above, which differs between the build and the bundle. */
export function packageVersion(): string {
	for (let directory = new URL('.', import.meta.url); ; directory = new URL('..', directory)) {
		try {
			const {name, version} = JSON.parse(readFileSync(new URL('package.json', directory), 'utf8')) as {
				name: string;
				version: string;
			};
			if (name === 'bindlock') return version;
		} catch {
			// No package.json in this directory.
		}
		if (directory.pathname === '/') return 'unknown';
	}
}
