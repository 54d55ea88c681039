/**
 * The description of `bindlock list`.
 */
import type {CommandDefinition} from '../definition.js';

export const listDefinition: CommandDefinition = {
	name: 'list',
	synopsis: '[DIRECTORY]...',
	summary: 'list every Unix socket that a process is bound to, and stale sockets in directories',
	description: [
		'Prints a table of all bound sockets, including abstract ones, in all network namespaces that this user can read: the process, the state and label of the lock, and the age. It also searches each DIRECTORY and its subdirectories on the same filesystem for stale sockets, and for locks whose server has not bound yet.',
		'The states held, foreign, stale and blocked are those of status. masked: a live process is bound to the socket, but the socket file was removed or replaced, so that clients cannot reach it. unknown: a process is bound to the socket, but bindlock cannot tell whether it is masked, because ss(8) of iproute2 is not installed or the process is not visible.',
		'Without root, processes of other users are not named. list takes no lock. It connects once to each socket file in a DIRECTORY to which no visible process is bound.',
	],
	arguments: [{syntax: '[DIRECTORY...]', kind: 'directory'}],
	options: [],
	fields: {
		address: 'the path, or @ and the abstract name; the path as its server wrote it if it cannot be reached from here',
		state: '"held", "foreign", "masked", "unknown", "stale" or "blocked"',
		type: '"stream", "datagram" or "seqpacket"; absent if no process is bound',
		listening: 'whether the socket accepts connections; absent if no process is bound',
		processes: 'the processes that have the socket open, each {pid, uid, command, since}; empty if none is visible',
		holder: 'the holder of the lock, as for status',
		since: 'when the socket file was created, if there is one',
		reason: 'why the address is blocked: {code, message}',
		lockPath: 'the lock file, if there is one',
		networkNamespace: 'the network namespace; absent if it is that of bindlock',
	},
	examples: [
		{line: 'sudo bindlock list /run /tmp', what: 'list everything'},
		{line: 'bindlock list --json | jq \'select(.state == "foreign")\'', what: 'list servers that take no lock'},
	],
};
