/**
 * Removing a stale socket while this process waits, for functions that bind synchronously, such as `Bun.serve`.
 */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {BindLockErrorCode} from '../../model/errors.js';
import type {Holder} from '../../model/holder.js';

/** What `bindlock reclaim --json` prints. */
export interface Reclaimed {
	readonly state: string;
	readonly holder?: Holder | undefined;
	readonly reason?: {readonly code: BindLockErrorCode; readonly message: string};
}

/**
 * Runs `bindlock reclaim` with the runtime of this process, and waits for its end.
 *
 * @throws an error if the command cannot be run: in a bundle it is missing
 */
export function reclaimApart(path: string, reclaimForeign: boolean): Reclaimed {
	const command = fileURLToPath(new URL('./cli.cjs', import.meta.url));
	if (!existsSync(command)) throw new Error(`${command} does not exist`);
	const {spawnSync} = process.getBuiltinModule('node:child_process');
	const address = path.startsWith('/') ? path : `./${path}`;
	const options = ['reclaim', '--json', ...(reclaimForeign ? ['--reclaim-foreign'] : []), address];
	const {stdout, stderr, error} = spawnSync(process.execPath, [command, ...options], {encoding: 'utf8'});
	if (error !== undefined) throw error;
	if (stdout === '') throw new Error(stderr.trim());
	const {holder, ...result} = JSON.parse(stdout) as Reclaimed;
	return {...result, holder: holder && {...holder, since: holder.since && new Date(holder.since)}};
}
