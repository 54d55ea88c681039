/**
 * The version of this package, from the package.json above wherever this file was compiled to.
 */
import {readFileSync} from 'node:fs';

export function packageVersion(): string {
	for (let directory = new URL('.', import.meta.url); ; directory = new URL('..', directory)) {
		try {
			const {name, version} = JSON.parse(readFileSync(new URL('package.json', directory), 'utf8')) as Package;
			if (name === 'bindlock') return version;
		} catch {
			// Not here.
		}
		if (directory.pathname === '/') return 'unknown';
	}
}

interface Package {
	readonly name: string;
	readonly version: string;
}
