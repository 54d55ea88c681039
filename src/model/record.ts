/**
 * The record in a lock file: the holder's pid on the first line, for `pgrep -F` and people, then one line of JSON. It is
 * informational. The lock is the flock, and the record counts only while the lock is held.
 */

/** What a holder writes about itself. A record may be a bare pid. */
export interface LockRecord {
	readonly pid: number;
	/** The holder's descriptor of the lock file, where /proc shows its lock. */
	readonly fd?: number | undefined;
	readonly uid?: number | undefined;
	/** ISO 8601, UTC. */
	readonly since?: string | undefined;
	/** The program and its script, without further arguments, which may be secret. */
	readonly command?: string | undefined;
	readonly label?: string | undefined;
	/** Of `bindlock run --listen`. */
	readonly reloads?: Reloads | undefined;
	readonly host?: string | undefined;
	/** The boot id (`proc_sys_kernel(5)`). After another boot, or on another machine, `pid` is another process. */
	readonly boot?: string | undefined;
	/** The pid namespace, as `/proc/self/ns/pid` names it. In another one, `pid` is another process. */
	readonly pidNamespace?: string | undefined;
}

/** The process that starts the holder anew, and how often it has. */
export interface Reloads {
	/** Of `bindlock run`. */
	readonly pid: number;
	/** How many reloads have begun. */
	readonly begun: number;
	/** How many of them have ended. */
	readonly ended: number;
	/** Why the last one failed; `undefined` if it succeeded. */
	readonly error?: string | undefined;
}

/** Longer content is not a record. */
export const maxRecordBytes = 4096;

/** Returns the text of a record. `bindlock` is the version of the JSON line; readers ignore unknown fields. */
export function formatRecord(record: LockRecord): string {
	const {pid, fd, since, uid, command, host, boot, pidNamespace, label, reloads} = record;
	const fields = {bindlock: 1, pid, fd, since, uid, command, host, boot, pidNamespace, label, reloads};
	return `${pid}\n${JSON.stringify(fields)}\n`;
}

/**
 * Parses the content of a lock file.
 *
 * @returns the record; `undefined` for a blank file; `'foreign'` for the content of another program. NULs count as
 * blank: after a power failure a file may be extended and not written
 */
export function parseRecord(content: string): LockRecord | undefined | 'foreign' {
	if (/^[\0\s]*$/.test(content)) return undefined;
	const [, digits, rest = ''] = /^[ \t]*(\d{1,10})[ \t\r]*(?:\n|$)([\s\S]*)$/.exec(content) ?? [];
	if (digits === undefined) return 'foreign';
	const pid = Number(digits);
	const json = rest.trim();
	if (json === '') return {pid};
	const opening = '{"bindlock":';
	// The record may be cut short: the disk was full, and the holder crashed before it truncated the file.
	if (!json.startsWith(opening.slice(0, json.length))) return 'foreign';
	return parseFields(pid, json);
}

function parseFields(pid: number, json: string): LockRecord {
	try {
		const {fd, uid, since, command, label, host, boot, pidNamespace, reloads} = JSON.parse(json) as Record<
			string,
			unknown
		>;
		return {
			pid,
			fd: integerOrNone(fd),
			uid: integerOrNone(uid),
			since: textOrNone(since),
			command: textOrNone(command),
			label: textOrNone(label),
			host: textOrNone(host),
			boot: textOrNone(boot),
			pidNamespace: textOrNone(pidNamespace),
			reloads: reloadsOrNone(reloads),
		};
	} catch {
		return {pid};
	}
}

function reloadsOrNone(value: unknown): Reloads | undefined {
	const {pid, begun, ended, error} = (value ?? {}) as Partial<Record<keyof Reloads, unknown>>;
	const [first, second, third] = [pid, begun, ended].map(integerOrNone);
	if (first === undefined || second === undefined || third === undefined) return undefined;
	return {pid: first, begun: second, ended: third, error: textOrNone(error)};
}

function integerOrNone(value: unknown): number | undefined {
	return Number.isInteger(value) ? (value as number) : undefined;
}

function textOrNone(value: unknown): string | undefined {
	return typeof value === 'string' ? value : undefined;
}
