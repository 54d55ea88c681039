/**
 * Tests reloads of `bindlock run --listen` under load: no client is refused and no request fails, with servers in several
 * languages.
 */
import {spawnSync} from 'node:child_process';
import {unlinkSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {lacking, noPython, python, testUnless} from '../../helpers/abilities.js';
import {type Answer, startClients} from '../../helpers/clients.js';
import {bindlock, startBindlock} from '../../helpers/command.js';
import {atLoad, until} from '../../helpers/deadlines.js';
import {heard, withLeash} from '../../helpers/leash.js';
import {descendants, isAlive} from '../../helpers/processes.js';
import {type Program, temporaryDirectory} from '../../helpers/programs.js';

const generation = fileURLToPath(new URL('../../fixtures/generation.js', import.meta.url));

/** The longest time for which a client that has not read the end of its connection may ask the old process. */
const movesMs = 2000;

/** Starts the fixture `generation`, of which a process crashes as soon as it is started if the file `BASE.broken` exists. */
async function startServer(t: ExecutionContext): Promise<{program: Program; base: string; pid: number}> {
	const base = join(temporaryDirectory(t), 's');
	const program = withLeash(t, leash =>
		startBindlock(
			t,
			[
				...['run', '--listen', `${base}.1`, '--listen', `${base}.2`, '--ready-fd=7', '--', 'sh', '-c'],
				...[`[ -e ${base}.broken ] && kill -9 $$; exec "$@"`, 'sh', process.execPath, generation, leash, base],
			],
			{env: {READY_FD: '7'}},
		),
	);
	return {program, base, pid: Number((await program.expect('serving'))['pid'])};
}

function failures(answers: readonly Answer[]): readonly Answer[] {
	return answers.filter(({error}) => error !== undefined);
}

/** Reloads, and waits until the new process answers all clients. @returns its pid */
async function reload(base: string, program: Program, answers: readonly Answer[]): Promise<number> {
	const {status, stderr} = await bindlock(['reload', `${base}.1`]);
	if (status !== 0) throw new Error(stderr);
	const pid = Number((await heard(program, 'serving'))['pid']);
	const seen = (): number => new Set(answers.filter(answer => answer.pid === pid).map(({kind}) => kind)).size;
	await until(() => seen() === 4, `all kinds of clients are answered by ${pid}`);
	return pid;
}

test.serial('20 reloads in a row, and crashes of new processes: no request fails, clients move at once', async t => {
	const {program, base, pid} = await startServer(t);
	const clients = startClients(t, base);
	const pids = [pid];
	const left = new Map<number, number>();
	for (let round = 0; round < 20; round++) {
		if (round % 5 === 0) {
			writeFileSync(`${base}.broken`, '');
			t.is((await bindlock(['reload', `${base}.1`])).status, 1);
			unlinkSync(`${base}.broken`);
		}
		pids.push(await reload(base, program, clients.answers));
		left.set(pids.at(-2) ?? 0, performance.now());
	}
	await until(() => pids.slice(0, -1).every(each => !isAlive(each)), 'the end of the old processes');
	await clients.stop();
	const {answers} = clients;
	t.log(`${answers.length} requests`);
	t.deepEqual(failures(answers), []);
	t.deepEqual(
		answers.filter(({pid: by, at}) => at > (left.get(by ?? 0) ?? Number.POSITIVE_INFINITY) + atLoad(movesMs)),
		[],
	);
	t.is(descendants(program.pid).length, 1);
});

test.serial('old processes are killed while they drain: only the requests that they were answering fail', async t => {
	const {program, base, pid: first} = await startServer(t);
	const clients = startClients(t, base);
	let pid = first;
	for (let round = 0; round < 5; round++) {
		program.signal('SIGHUP');
		const next = Number((await heard(program, 'serving'))['pid']);
		if (isAlive(pid)) process.kill(pid, 'SIGKILL');
		pid = next;
		await until(() => clients.answers.at(-1)?.pid === pid, 'the new process answers');
	}
	await clients.stop();
	const failed = failures(clients.answers);
	t.log(`${clients.answers.length} requests, ${failed.length} failed`);
	// Each of the 13 clients has one request at each killed process, and may send one more.
	t.true(failed.length <= 2 * 13 * 5);
	t.false(failed.some(({error}) => error === 'ECONNREFUSED' || error === 'ENOENT'));
});

/** Both servers answer with their pid, end with their standard input, and finish what they have accepted on SIGTERM. */
const inPython = `
import os, signal, socketserver, sys, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        if self.rfile.readline(): self.wfile.write(b'%d\\n' % os.getpid())
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    def __init__(self):
        socketserver.BaseServer.__init__(self, None, Handler)
        import socket
        self.socket = socket.socket(fileno=3)
    def get_request(self):
        self.socket.setblocking(False)
        return self.socket.accept()
server = Server()
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
os.write(5, b'\\n')
server.serve_forever(0.01)
server.socket.close()
server.server_close()
`;

const inC = `
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
static volatile sig_atomic_t stopped;
static void stop(int number) { stopped = number; }
int main(void) {
	sigset_t term, none;
	sigemptyset(&none);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, 0);
	struct sigaction action = {.sa_handler = stop};
	sigaction(SIGTERM, &action, 0);
	write(5, "\\n", 1);
	while (!stopped) {
		struct pollfd inputs[] = {{3, POLLIN, 0}, {0, 0, 0}};
		if (ppoll(inputs, 2, 0, &none) < 1) continue;
		if (inputs[1].revents) return 1;
		int client = accept4(3, 0, 0, 0);
		char text[64];
		if (client < 0) continue;
		if (read(client, text, sizeof text) > 0) write(client, text, sprintf(text, "%d\\n", getpid()));
		close(client);
	}
	return 0;
}
`;

/** Asks again and again, each time on a new connection. Returns what stops, and the failures. */
function startAsking(t: ExecutionContext, path: string): {readonly answers: string[]; stop(): Promise<void>} {
	const answers: string[] = [];
	let isStopped = false;
	t.teardown(() => {
		isStopped = true;
	});
	const ask = (): Promise<string> =>
		new Promise(resolve => {
			let text = '';
			connect(path)
				.setEncoding('utf8')
				.on('data', chunk => {
					text += chunk;
				})
				.on('error', error => resolve(`failed: ${error.message}`))
				.on('close', () => resolve(text.trim() || 'failed: no answer'))
				.end('?\n');
		});
	const asking = Array.from({length: 8}, async () => {
		while (!isStopped) answers.push(await ask());
	});
	return {
		answers,
		stop: async () => {
			isStopped = true;
			await Promise.all(asking);
		},
	};
}

/** Reloads a server that answers each connection with its pid. */
async function reloadOften(t: ExecutionContext, command: readonly string[]): Promise<void> {
	const address = join(temporaryDirectory(t), 's');
	startBindlock(t, ['run', '--listen', address, '--ready-fd=5', '--', ...command]);
	await bindlock(['wait', address]);
	const clients = startAsking(t, address);
	await until(() => clients.answers.length > 100, 'the first answers');
	for (let round = 0; round < 20; round++) {
		const {status, stdout} = await bindlock(['reload', '--json', address]);
		t.is(status, 0);
		const {pid} = JSON.parse(stdout) as {pid: number};
		await until(() => clients.answers.at(-1) === String(pid), 'the new process answers');
	}
	await clients.stop();
	t.log(`${clients.answers.length} requests`);
	t.deepEqual(
		clients.answers.filter(answer => !/^\d+$/.test(answer)),
		[],
	);
	t.is(new Set(clients.answers).size, 21);
}

testUnless(noPython())('20 reloads of a server in Python: no connection fails', async t => {
	await reloadOften(t, [python, '-c', inPython]);
});

testUnless(lacking('cc'))('20 reloads of a server in C: no connection fails', async t => {
	const directory = temporaryDirectory(t);
	const [source, program] = [join(directory, 'server.c'), join(directory, 'server')];
	writeFileSync(source, inC);
	t.is(spawnSync('cc', ['-o', program, source], {encoding: 'utf8'}).status, 0);
	await reloadOften(t, [program]);
});
