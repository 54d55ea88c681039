/**
 * The numbers of users and groups. Node has no getpwnam(3), and getent(1) asks the same sources as that does.
 */
import {UsageError} from '../failures.js';

/** @throws UsageError if there is no such user */
export function userId(text: string): number {
	return idOf('owner', 'user', 'passwd', text);
}

/** @throws UsageError if there is no such group */
export function groupId(text: string): number {
	return idOf('group', 'group', 'group', text);
}

function idOf(option: string, kind: string, database: string, text: string): number {
	if (/^\d{1,10}$/.test(text)) return Number(text);
	const {spawnSync} = process.getBuiltinModule('node:child_process');
	const {stdout, error} = spawnSync('getent', ['--', database, text], {encoding: 'utf8'});
	if (error !== undefined) {
		throw new UsageError(`--${option}: getent(1) cannot be run (${error.message}); write the number of the ${kind}`);
	}
	const [, , id = ''] = stdout.split('\n')[0]?.split(':') ?? [];
	if (/^\d+$/.test(id)) return Number(id);
	throw new UsageError(`--${option}: there is no ${kind} ${JSON.stringify(text)}`);
}
