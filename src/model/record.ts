/**
 * What a lock file says: the holder's pid on the first line, so that `pgrep -F` and people can read
 * it, then one line of JSON. A courtesy: the lock is the flock, and the record is believed only
 * while somebody has it.
 */

/** The holder's account of itself. A record that is a bare pid has nothing else. */
export interface LockRecord {
	readonly pid: number;
	/** The holder's descriptor of the lock file: where /proc can confirm the lock at once. */
	readonly fd?: number | undefined;
	readonly uid?: number | undefined;
	/** ISO 8601, UTC. */
	readonly since?: string | undefined;
	/** The program and its script, without further arguments, which may be secret. */
	readonly command?: string | undefined;
	readonly label?: string | undefined;
	readonly host?: string | undefined;
	/** As /proc/sys/kernel/random/boot_id names it: after another boot, or on another machine, `pid` is another process. */
	readonly boot?: string | undefined;
	/** As `/proc/self/ns/pid` names it: in another one, `pid` is another process. */
	readonly pidNamespace?: string | undefined;
}

/** Longer content is not a record. */
export const maxRecordBytes = 4096;

/**
 * The text of a record. `1` is the version of the JSON line; readers ignore fields that they do not know.
 *
 * @param fd of the lock file; `undefined` for an abstract lock
 * @param constant the fields that are the same for every lock of a process, as JSON without its opening brace
 */
export function formatRecord(pid: number, fd: number | undefined, since: string, constant: string): string {
	const where = fd === undefined ? '' : `"fd":${fd},`;
	return `${pid}\n{"bindlock":1,"pid":${pid},${where}"since":"${since}",${constant}\n`;
}

/**
 * Reads the content of a lock file.
 *
 * @returns the record; `undefined` if the file is blank (NULs count as blank: a file that was
 * extended but not written when the machine stopped); `'foreign'` if this is somebody's file
 */
export function parseRecord(content: string): LockRecord | undefined | 'foreign' {
	if (/^[\0\s]*$/.test(content)) return undefined;
	const [, digits, rest = ''] = /^[ \t]*(\d{1,10})[ \t\r]*(?:\n|$)([\s\S]*)$/.exec(content) ?? [];
	if (digits === undefined) return 'foreign';
	const pid = Number(digits);
	const json = rest.trim();
	if (json === '') return {pid};
	const opening = '{"bindlock":';
	// A record cut short (a disk that filled up, and a crash before that was undone) is still ours.
	if (!json.startsWith(opening.slice(0, json.length))) return 'foreign';
	return parseFields(pid, json);
}

/** Field by field, which is a third of the cost of a loop over their names. */
function parseFields(pid: number, json: string): LockRecord {
	try {
		const {fd, uid, since, command, label, host, boot, pidNamespace} = JSON.parse(json) as Record<string, unknown>;
		return {
			pid,
			fd: integer(fd),
			uid: integer(uid),
			since: text(since),
			command: text(command),
			label: text(label),
			host: text(host),
			boot: text(boot),
			pidNamespace: text(pidNamespace),
		};
	} catch {
		return {pid};
	}
}

function integer(value: unknown): number | undefined {
	return Number.isInteger(value) ? (value as number) : undefined;
}

function text(value: unknown): string | undefined {
	return typeof value === 'string' ? value : undefined;
}
