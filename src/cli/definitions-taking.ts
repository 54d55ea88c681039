/**
 * The commands that take an address.
 */
import type {CommandDefinition, OptionDefinition} from './definitions.js';

const reclaimForeign: OptionDefinition = {
	name: 'reclaim-foreign',
	description:
		'also remove a dead socket of another user, where the directory allows it. A server of that user that takes no lock, is in another network namespace, and is bound but does not listen yet, cannot be told from a dead one',
};

export const run: CommandDefinition = {
	name: 'run',
	synopsis:
		'ADDRESS [--wait[=DURATION]] [--replace[=SIGNAL]] [--label TEXT] [--lock-file-mode MODE] [--reclaim-foreign] [--close-fd] [--] COMMAND [ARG]...',
	summary: 'lock an address, remove a stale socket, and run a server that has the lock for as long as it lives',
	description: [
		'Takes the lock of ADDRESS, removes a socket file that no process is bound to, and starts COMMAND with the descriptor of the lock inherited. The kernel gives the lock back when COMMAND, and every process that has inherited the descriptor from it, has ended, however that happens; it makes no difference to the lock whether bindlock itself is still there.',
		'Options stand before COMMAND. Everything after it is its own.',
		'SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH and SIGCONT are passed on to COMMAND. With a controlling terminal, what the whole process group got (as by Ctrl-C) is not sent to it twice.',
		'A command that closes the descriptors it inherits (sudo does, and some daemons do) loses the lock by that. bindlock warns if it sees this in the first half minute; use --close-fd then.',
	],
	arguments: [
		{name: 'ADDRESS', kind: 'address', required: true, variadic: false},
		{name: 'COMMAND', kind: 'command', required: true, variadic: true},
	],
	options: [
		{
			name: 'wait',
			value: {name: 'DURATION', kind: 'duration', bare: 'forever'},
			description:
				'wait for a holder to go, no longer than this; without a value, for ever. A server that takes no lock is not waited for',
		},
		{
			name: 'replace',
			value: {name: 'SIGNAL', kind: 'signal', bare: 'TERM'},
			description:
				'send the holder this signal, by default TERM, if the kernel confirms that it is the holder, and wait for it as long as --wait says, by default 10s',
		},
		{
			name: 'label',
			value: {name: 'TEXT', kind: 'text'},
			description: 'what to tell those who are refused, for example the name of the service; at most 200 characters',
		},
		{
			name: 'lock-file-mode',
			value: {name: 'MODE', kind: 'text'},
			description:
				'the permissions of a lock file that has to be created, in octal and whatever the umask, by default 0600: for servers of several users 0666, or 0660 for those of a group',
		},
		reclaimForeign,
		{
			name: 'close-fd',
			description:
				'do not let COMMAND inherit the lock: bindlock has it while COMMAND runs. If bindlock is killed, COMMAND goes on without a lock',
		},
	],
	fields: {},
	exits: {
		'126': 'COMMAND was found and could not be executed',
		'127': 'COMMAND was not found',
		'128+n': 'COMMAND was ended by signal n; 0 for a real-time signal (32 to 64), of which Node does not tell',
		other: 'the exit status of COMMAND',
	},
	examples: [
		{line: 'bindlock run /run/app.sock -- python3 server.py /run/app.sock', what: 'a server, or the reason why not'},
		{
			line: "bindlock run /run/nginx.sock -- nginx -g 'daemon off;'",
			what: 'nginx, which does not start after a crash because of the socket it left',
		},
		{
			line: 'bindlock run /run/redis.sock --replace --wait=30s -- redis-server --unixsocket /run/redis.sock --port 0',
			what: 'take over from the one that runs',
		},
		{line: 'bindlock run @app --label blue -- ./server @app', what: 'an abstract name'},
	],
};

export const reclaim: CommandDefinition = {
	name: 'reclaim',
	synopsis: '[--reclaim-foreign] ADDRESS...',
	summary: 'remove stale sockets, and only those',
	description: [
		'Removes each ADDRESS that is a socket file to which no process is bound, under its lock. Anything else stays as it is, and the answer says why.',
	],
	arguments: [{name: 'ADDRESS', kind: 'address', required: true, variadic: true}],
	options: [reclaimForeign],
	fields: {
		address: 'as it was given',
		removed: 'whether a stale socket was removed',
		state: 'what was found: see status; after a removal, "free"',
		holder: 'who has it, if that can be seen: see status',
		reason: 'why it stays: {code, message}',
	},
	exits: {'0': 'no stale socket is left at any ADDRESS, and each could be bound now'},
	examples: [{line: 'bindlock reclaim /run/app/*.sock', what: 'after a crash'}],
};
