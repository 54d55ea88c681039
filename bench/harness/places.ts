/**
 * A directory in memory and one on a disk: the cost of a lock file depends on the filesystem.
 */
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {filesystem} from './environment.js';
import {root} from './results.js';

export type PlaceName = 'tmpfs' | 'disk';
export type Places = Readonly<Record<PlaceName, string>>;

/** A new, empty directory. Its name is short, because an address has at most 107 bytes. */
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
