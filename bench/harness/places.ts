/**
 * A directory in memory and one on a disk, because a lock file's cost is the filesystem's.
 */
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {filesystem} from './environment.js';
import {root} from './results.js';

export type PlaceName = 'tmpfs' | 'disk';
export type Places = Readonly<Record<PlaceName, string>>;

/** New and empty; short names, because an address has 107 bytes. */
export function makePlaces(): Places {
	const memory = '/dev/shm';
	const built = fileURLToPath(new URL('build', root));
	mkdirSync(built, {recursive: true});
	const disk = filesystem(tmpdir()) === 'tmpfs' ? built : tmpdir();
	return {tmpfs: mkdtempSync(join(memory, 'bl-')), disk: mkdtempSync(join(disk, 'bl-'))};
}

export function removePlaces(places: Places): void {
	for (const place of Object.values(places)) rmSync(place, {recursive: true, force: true});
}
