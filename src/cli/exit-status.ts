/**
 * The exit statuses of the command.
 */

/** 64, 69, 71 and 75 are EX_USAGE, EX_UNAVAILABLE, EX_OSERR and EX_TEMPFAIL of `sysexits.h`; 126 and 127 are those of env(1). */
export const exit = {
	done: 0,
	failed: 1,
	usage: 64,
	unavailable: 69,
	system: 71,
	taken: 75,
	notExecutable: 126,
	notFound: 127,
} as const;

/** The meaning of the statuses that every command has. */
export const exitCodes: Readonly<Record<string, string>> = {
	[exit.done]: 'success',
	[exit.usage]: 'the command line is wrong',
	[exit.system]: 'a system call failed: no permission, no such directory, disk full',
	[exit.taken]: 'the address is in use, or the time limit has passed: try again later',
};
