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
