/**
 * Holds a given number of flocks on its own files: `crowd.js DIRECTORY`, then one number on each line of input.
 */
import {closeSync, openSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {createInterface} from 'node:readline';

const {flockSync} = createRequire(import.meta.url)('fs-ext') as {flockSync(descriptor: number, flags: string): void};
const descriptors: number[] = [];

for await (const line of createInterface({input: process.stdin})) {
	for (const descriptor of descriptors.splice(Number(line))) closeSync(descriptor);
	while (descriptors.length < Number(line)) {
		const descriptor = openSync(join(process.argv[2] ?? '', `other${descriptors.length}`), 'w');
		flockSync(descriptor, 'exnb');
		descriptors.push(descriptor);
	}
	console.log(JSON.stringify({event: 'has', count: descriptors.length}));
}
