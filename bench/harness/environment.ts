/**
 * The environment of a benchmark: enough to judge its figures, without identifying the machine.
 */
import {statfsSync} from 'node:fs';
import {cpus, release, totalmem} from 'node:os';

export interface Environment {
	readonly cpu: string;
	readonly cores: number;
	readonly memoryGiB: number;
	/** Version numbers only: a kernel's name may be that of a provider. */
	readonly kernel: string;
	readonly node: string;
	readonly filesystems: Readonly<Record<string, string>>;
	/** The date. */
	readonly date: string;
}

export function environment(places: Readonly<Record<string, string>>): Environment {
	return {
		cpu: cpus()[0]?.model ?? 'unknown',
		cores: cpus().length,
		memoryGiB: Math.round(totalmem() / 2 ** 30),
		kernel: `Linux ${/^[\d.]+/.exec(release())?.[0] ?? ''}`,
		node: process.version,
		filesystems: Object.fromEntries(Object.entries(places).map(([name, path]) => [name, filesystem(path)])),
		date: new Date().toISOString().slice(0, 10),
	};
}

/** Returns the type of the filesystem of a directory, as `mount` names it. */
export function filesystem(directory: string): string {
	const known: Readonly<Record<number, string>> = {
		61267: 'ext4',
		16914836: 'tmpfs',
		1481003842: 'xfs',
		2435016766: 'btrfs',
		2035054128: 'overlay',
	};
	const {type} = statfsSync(directory);
	return known[type] ?? `type 0x${type.toString(16)}`;
}
