/**
 * The description of `bindlock run`.
 */
import {type CommandDefinition, type OptionDefinition, reclaimForeignOption} from '../definition.js';

/** Options that need `--listen`. */
export const listeningOptionDefinitions: readonly OptionDefinition[] = [
	{
		name: 'backlog',
		value: {name: 'NUMBER', kind: 'text'},
		description:
			'how many connections may wait until COMMAND accepts them; the default is 511. The kernel limits it to net.core.somaxconn',
	},
	{name: 'mode', value: {name: 'MODE', kind: 'text'}, description: 'the permissions of the socket file, in octal'},
	{
		name: 'owner',
		value: {name: 'USER', kind: 'text'},
		description: 'the owner of the socket file, a name or a number',
	},
	{
		name: 'group',
		value: {name: 'GROUP', kind: 'text'},
		description: 'the group of the socket file, a name or a number',
	},
	{
		name: 'ready-fd',
		value: {name: 'FD', kind: 'text'},
		description: 'COMMAND is ready when it has written a newline to this descriptor, which it inherits',
	},
	{
		name: 'ready-after',
		value: {name: 'DURATION', kind: 'duration'},
		description: 'without --ready-fd, COMMAND is ready when it has lived for this time; the default is 1s',
	},
	{
		name: 'start-timeout',
		value: {name: 'DURATION', kind: 'duration'},
		description: 'how long a reload waits until the new process is ready; the default is 30s',
	},
	{
		name: 'stop-signal',
		value: {name: 'SIGNAL', kind: 'signal'},
		description: 'the signal to the old process after a reload; the default is TERM',
	},
	{
		name: 'stop-timeout',
		value: {name: 'DURATION', kind: 'duration'},
		description: 'how long after that signal the old process is killed; the default is 1m',
	},
];

export const runDefinition: CommandDefinition = {
	name: 'run',
	synopsis: 'ADDRESS|--listen ADDRESS... [OPTION]... [--] COMMAND [ARG]...',
	summary: 'lock an address, remove a stale socket, and run a server that holds the lock as long as it lives',
	description: [
		'Takes the lock of ADDRESS, removes a socket file that no process is bound to, and starts COMMAND, which inherits the descriptor of the lock. The kernel releases the lock when COMMAND and every process that inherited the descriptor have ended, for whatever reason, even if bindlock itself was killed before.',
		'Options come before COMMAND. Everything after COMMAND is passed to it.',
		'bindlock forwards SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH and SIGCONT to COMMAND. With a controlling terminal it does not forward a signal that was sent to the whole process group, as by Ctrl-C, because COMMAND has received it already.',
		'While COMMAND runs, bindlock watches the lock file. If another program removes or replaces the file, bindlock locks it again, and then holds that lock itself.',
		'With --listen, bindlock binds and listens itself, and COMMAND inherits the listening socket as descriptor 3, further ones as 4, 5 and so on, with the variables LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES of sd_listen_fds(3). SIGHUP, or bindlock reload, starts COMMAND anew beside its old process. When the new one is ready, the old one gets SIGTERM, and meanwhile no client is refused.',
		'A command that closes inherited descriptors (sudo and some daemons do) loses the lock. bindlock warns if it detects this within 30 seconds after the start. Use --close-fd for such a command.',
	],
	arguments: [
		{syntax: '[ADDRESS]', kind: 'address'},
		{syntax: '[COMMAND...]', kind: 'command'},
	],
	options: [
		{
			name: 'wait',
			value: {name: 'DURATION', kind: 'duration', bare: 'forever'},
			description:
				'wait until the holder releases the lock, at most DURATION; without a value, without limit. bindlock does not wait for a server that takes no lock',
		},
		{
			name: 'timeout',
			short: 'w',
			value: {name: 'DURATION', kind: 'duration'},
			description: 'as --wait=DURATION',
		},
		{
			name: 'replace',
			value: {name: 'SIGNAL', kind: 'signal', bare: 'TERM'},
			description:
				'send SIGNAL (the default is TERM) to the holder if the kernel confirms that it holds the lock, then wait for it to exit, as long as --wait allows (the default is 10s)',
		},
		{
			name: 'label',
			value: {name: 'TEXT', kind: 'text'},
			description:
				'a text for the error messages of refused servers, such as the name of the service; at most 200 characters',
		},
		{
			name: 'lock-file-mode',
			value: {name: 'MODE', kind: 'text'},
			description:
				'the permissions of a new lock file, in octal, not affected by the umask; the default is 0600. Use 0666 for servers of several users, or 0660 for servers of one group',
		},
		reclaimForeignOption,
		{
			name: 'close-fd',
			description:
				'hold the lock in bindlock instead of COMMAND. If bindlock is killed, COMMAND continues without a lock',
		},
		{
			name: 'on-loss',
			value: {name: 'WHAT', kind: ['warn', 'stop']},
			description:
				'what to do if another server takes the lock file after it was removed or replaced: warn (the default), or stop, which also sends SIGTERM to COMMAND',
		},
		{
			name: 'listen',
			value: {name: 'ADDRESS', kind: 'address'},
			repeatable: true,
			description:
				'lock, bind and listen on this address, and pass the socket to COMMAND; can be given several times. The options below belong to it',
		},
		...listeningOptionDefinitions,
	],
	exits: {
		'126': 'COMMAND was found but could not be executed',
		'127': 'COMMAND was not found',
		'128+n':
			'signal n ended COMMAND, and bindlock is process 1, or the signal dumps core. Otherwise bindlock ends by the same signal. 0 for a real-time signal (32 to 64), which Node does not report',
		other: 'the exit status of COMMAND',
	},
	examples: [
		{line: 'bindlock run /run/app.sock -- python3 server.py /run/app.sock', what: 'start a server'},
		{
			line: "bindlock run /run/nginx.sock -- nginx -g 'daemon off;'",
			what: 'start nginx, which fails by itself if a crash left its socket file',
		},
		{
			line: 'bindlock run /run/redis.sock --replace --wait=30s -- redis-server --unixsocket /run/redis.sock --port 0',
			what: 'take over from the running server',
		},
		{line: 'bindlock run @app --label blue -- ./server @app', what: 'lock an abstract name'},
		{
			line: 'bindlock run --listen /run/app.sock --mode 0660 --group www-data -- ./server',
			what: 'pass the listening socket to a server, which can be reloaded',
		},
	],
};
