/**
 * Tests `bindlock run` with servers that take no lock. Each server is started, refused a second time, killed, and
 * started again on its stale socket.
 */
import {existsSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {lacking, noPython, python, testUnless} from '../../helpers/abilities.js';
import {bindlock, gone, kill, startBindlock, statusOf} from '../../helpers/command.js';
import {until, withDeadline} from '../../helpers/deadlines.js';
import {temporaryDirectory} from '../../helpers/programs.js';

interface Server {
	readonly command: (directory: string, address: string) => readonly string[];
	/** The request and the expected response. */
	readonly ask: string;
	readonly answer: RegExp;
}

const pythonServer = `
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b'python heard ' + self.rfile.readline())
socketserver.UnixStreamServer(sys.argv[1], Handler).serve_forever()
`;

testUnless(noPython())('python', t =>
	check(t, {command: (_, address) => [python, '-c', pythonServer, address], ask: 'x\n', answer: /^python heard x/}),
);

testUnless(lacking('socat'))('socat', t =>
	check(t, {
		command: (_, address) => ['socat', `UNIX-LISTEN:${address},fork,unlink-close=0`, 'EXEC:cat'],
		ask: 'echoed\n',
		answer: /^echoed/,
	}),
);

testUnless(lacking('redis-server'))('redis', t =>
	check(t, {
		command: (directory, address) => [
			'redis-server',
			...['--port', '0', '--unixsocket', address, '--dir', directory, '--save', '', '--daemonize', 'no'],
		],
		ask: 'PING\r\n',
		answer: /^\+PONG/,
	}),
);

testUnless(lacking('nginx'))('nginx', t =>
	check(t, {
		command: (directory, address) => {
			const configuration = join(directory, 'nginx.conf');
			writeFileSync(
				configuration,
				`daemon off; error_log stderr; pid ${directory}/pid; events {}
				http { access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
					.map(kind => `${kind}_temp_path ${directory}/${kind};`)
					.join(' ')}
				server { listen unix:${address}; location / { return 200 "from nginx"; } } }`,
			);
			return ['nginx', '-p', directory, '-c', configuration];
		},
		ask: 'GET / HTTP/1.0\r\n\r\n',
		answer: /from nginx/,
	}),
);

async function check(t: ExecutionContext, server: Server): Promise<void> {
	const directory = temporaryDirectory(t);
	const address = join(directory, 's');
	const command = server.command(directory, address);
	for (const round of ['on a free address', 'on a stale one']) {
		const program = startBindlock(t, ['run', address, '--', ...command]);
		const {status, stderr} = await bindlock(['wait', address, '--timeout', '20s']);
		t.is(status, 0, `${round}: ${stderr} ${program.stderr}`);
		t.regex(await request(address, server.ask), server.answer, round);
		const {state, holder} = (await statusOf(address)) as {state: string; holder: {pid: number}};
		t.is(state, 'held');
		t.teardown(() => kill(holder.pid, 'SIGKILL'));
		t.is((await bindlock(['run', address, '--', ...command])).status, 75, 'a second one');
		t.regex(await request(address, server.ask), server.answer, 'the first one serves still');
		kill(holder.pid, 'SIGKILL');
		await gone(holder.pid);
		await endWorkers(address);
		t.is((await withDeadline(program.exited)).signal, 'SIGKILL');
		t.true(existsSync(address), 'the socket is left');
	}
}

/** Ends the workers of nginx. They continue to serve after the death of their master, and so keep the lock. */
async function endWorkers(address: string): Promise<void> {
	await until(async () => {
		const {state, holder} = (await statusOf(address)) as {state: string; holder?: {pid: number}};
		if (holder !== undefined) kill(holder.pid, 'SIGKILL');
		return state === 'stale';
	}, 'a stale socket');
}

function request(address: string, ask: string): Promise<string> {
	return withDeadline(
		new Promise((resolve, reject) => {
			let answer = '';
			const socket = connect(address, () => socket.write(ask));
			socket.setEncoding('utf8').on('data', chunk => {
				answer += chunk;
				if (answer.includes('\n') || answer.includes('from')) socket.end();
			});
			socket.on('error', reject).on('close', () => resolve(answer));
		}),
	);
}
