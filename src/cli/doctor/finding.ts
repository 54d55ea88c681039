/**
 * The result of one check of `bindlock doctor`.
 */
export interface Finding {
	readonly level: 'ok' | 'warning' | 'problem';
	/** The name of the check. */
	readonly check: string;
	readonly message: string;
	/** What to do; absent if ok. */
	readonly remedy?: string;
}

export function ok(check: string, message: string): Finding {
	return {level: 'ok', check, message};
}

export function warning(check: string, message: string, remedy: string): Finding {
	return {level: 'warning', check, message, remedy};
}

export function problem(check: string, message: string, remedy: string): Finding {
	return {level: 'problem', check, message, remedy};
}
