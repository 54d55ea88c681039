/**
 * The commands that look, and take nothing.
 */
import type {CommandDefinition} from './definitions.js';

const holder =
	'who has it, if that can be seen: {pid, uid, command, since, label, host, verified}; command is the program and its script, without further arguments; verified is true if /proc confirms that it has the lock, false if only its record says so; host is there if it is another than ours';

export const status: CommandDefinition = {
	name: 'status',
	synopsis: '[--watch] ADDRESS...',
	summary: 'tell whether an address is free, stale, held, foreign or blocked, and by whom',
	description: [
		'free: nothing is there. stale: a socket file to which no process is bound, which the next server that uses bindlock removes. held: somebody has the lock. foreign: a server that takes no lock is bound there. blocked: it could not be taken, for a reason that is given with what to do.',
		'Takes no lock. Connects to nothing that a process of this network namespace is seen to be bound to. Of a socket file that refuses the connection it sets the change time, and nothing else.',
	],
	arguments: [{name: 'ADDRESS', kind: 'address', required: true, variadic: true}],
	options: [{name: 'watch', description: 'go on, and print again what has changed, until interrupted'}],
	fields: {
		address: 'as it was given',
		state: '"free", "stale", "held", "foreign" or "blocked"',
		lockPath: 'the lock file; absent for an abstract name',
		found: 'what lies at the address: "nothing", "socket", "file", "directory", "symlink" or "other"',
		holder,
		reason: 'why it is blocked: {code, message}',
		networkNamespace: 'for an abstract name, where this is true',
	},
	exits: {'75': 'one of the addresses could not be bound now'},
	examples: [
		{line: 'bindlock status /run/app.sock', what: 'who has it?'},
		{line: 'bindlock status --json @app | jq .holder.pid', what: 'for scripts'},
		{line: 'bindlock status --watch /run/app/*.sock', what: 'during a deployment'},
	],
};

export const list: CommandDefinition = {
	name: 'list',
	synopsis: '[DIRECTORY]...',
	summary: 'every Unix socket that a process is bound to, and those left behind in directories',
	description: [
		'Prints a table of all bound sockets, abstract ones included, of all network namespaces that this user may look into: their process, the state of their lock, its label, and how long they have been there. In each DIRECTORY and below it, on the same filesystem, it also finds stale sockets, and locks whose server has not bound yet.',
		'States: held, foreign, stale and blocked as for status; masked: bound and alive, but its socket file was removed or replaced, so that nobody can reach it; unknown: bound, but it cannot be told whether that is so, because ss(8) of iproute2 is not installed or its process cannot be seen.',
		'Without root, processes of other users are not named. Takes no lock. A socket file in a DIRECTORY to which no process in sight is bound is asked by one connection.',
	],
	arguments: [{name: 'DIRECTORY', kind: 'directory', required: false, variadic: true}],
	options: [],
	fields: {
		address: 'the path, or @ and the abstract name; as its server wrote it if it cannot be reached from here',
		state: '"held", "foreign", "masked", "unknown", "stale" or "blocked"',
		type: '"stream", "datagram" or "seqpacket"; absent if nothing is bound',
		listening: 'whether it accepts connections; absent if nothing is bound',
		processes: 'that have the socket open: {pid, uid, command, since} each; empty if they may not be seen',
		holder: 'who has the lock: see status',
		since: 'when the socket file was made, if there is one',
		reason: 'why it is blocked: {code, message}',
		lockPath: 'the lock file, if there is one',
		networkNamespace: 'where it is not ours',
	},
	exits: {},
	examples: [
		{line: 'sudo bindlock list /run /tmp', what: 'everything'},
		{line: 'bindlock list --json | jq \'select(.state == "foreign")\'', what: 'servers that take no lock'},
	],
};

export const wait: CommandDefinition = {
	name: 'wait',
	synopsis: 'ADDRESS [--for listening|free] [--timeout DURATION]',
	summary: 'wait until a server listens, or until an address is free',
	description: [
		'For scripts and clients. Looks again and again and connects to nothing that a process of this network namespace is bound to; only a server in another one, such as another container, is asked by a connection, which is closed at once.',
	],
	arguments: [{name: 'ADDRESS', kind: 'address', required: true, variadic: false}],
	options: [
		{
			name: 'for',
			value: {name: 'WHAT', kind: ['listening', 'free']},
			description: 'listening (the default): a server accepts connections. free: it could be bound, so also if stale',
		},
		{
			name: 'timeout',
			value: {name: 'DURATION', kind: 'duration'},
			description: 'give up after this, with exit status 75; by default never',
		},
	],
	fields: {
		address: 'as it was given',
		for: '"listening" or "free"',
		reached: 'false if the time was up',
		waitedMs: 'how long it took',
		holder,
	},
	exits: {'75': 'not so when the time was up'},
	examples: [
		{line: 'bindlock wait /run/app.sock --timeout 30s && curl --unix-socket /run/app.sock http://x/', what: 'a client'},
		{line: 'bindlock wait /run/app.sock --for free', what: 'until the old server is gone'},
	],
};
