/**
 * Tests restarts under load: HTTP/1 clients with and without keep-alive, HTTP/2 clients and WebSocket clients move to
 * each next generation, and no request fails.
 */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {testUnless} from '../helpers/abilities.js';
import {type Answer, startClients} from '../helpers/clients.js';
import {atLoad, until} from '../helpers/deadlines.js';
import {heard, startLeashed} from '../helpers/leash.js';
import {nodeOf, noNode, otherVersions} from '../helpers/node-versions.js';
import {isAlive} from '../helpers/processes.js';
import {type Program, type StartOptions, temporaryDirectory} from '../helpers/programs.js';

/** The longest time for which a client that has not read the end of its connection may ask the old generation. */
const movesMs = 2000;

async function firstGeneration(
	t: ExecutionContext,
	start: StartOptions = {},
): Promise<{program: Program; base: string}> {
	const base = join(temporaryDirectory(t), 's');
	return {program: await generation(t, base, {}, start), base};
}

async function generation(
	t: ExecutionContext,
	base: string,
	options: object = {},
	start: StartOptions = {},
): Promise<Program> {
	const program = startLeashed(t, 'generation', [base, JSON.stringify(options)], start);
	await program.expect('serving');
	return program;
}

/** Hands over, and waits until the successor answers all clients. @returns the pid of the successor */
async function handOverFrom(program: Program, pid: number, answers: readonly Answer[]): Promise<number> {
	process.kill(pid, 'SIGUSR2');
	for (;;) {
		const event = await program.next();
		if (event.event === 'not handed over') throw new Error(String(event['message']));
		if (event.event !== 'handed over') continue;
		const to = Number(event['to']);
		const seen = (): Set<string> => new Set(answers.filter(answer => answer.pid === to).map(({kind}) => kind));
		await until(() => seen().size === 4, `all kinds of clients are answered by ${to}`);
		return to;
	}
}

/** Returns the answers that a generation has given too long after its hand-over. */
function late(answers: readonly Answer[], left: ReadonlyMap<number, number>): readonly Answer[] {
	return answers.filter(({pid, at}) => at > (left.get(pid ?? 0) ?? Number.POSITIVE_INFINITY) + atLoad(movesMs));
}

function summary(answers: readonly Answer[]): string {
	const counts: Record<string, number> = {};
	for (const {kind} of answers) counts[kind] = (counts[kind] ?? 0) + 1;
	return Object.entries(counts)
		.map(([kind, count]) => `${count} ${kind}`)
		.join(', ');
}

/** Hands over many times. No request fails, and the clients move. */
async function handOverOften(t: ExecutionContext, rounds: number, start: StartOptions = {}): Promise<void> {
	const {program, base} = await firstGeneration(t, start);
	const clients = startClients(t, base);
	const pids = [program.pid];
	const left = new Map<number, number>();
	for (let round = 0; round < rounds; round++) {
		const pid = pids.at(-1) ?? 0;
		pids.push(await handOverFrom(program, pid, clients.answers));
		left.set(pid, performance.now());
	}
	// The clients still send requests.
	await until(() => pids.slice(0, -1).every(pid => !isAlive(pid)), 'the end of the old generations');
	await clients.stop();
	const {answers} = clients;
	t.log(summary(answers));
	t.deepEqual(
		answers.filter(({error}) => error !== undefined),
		[],
	);
	t.deepEqual(late(answers, left), []);
	t.true(isAlive(pids.at(-1) ?? 0));
}

test.serial(
	'20 hand-overs in a row: no request fails, clients move at once, old generations end by themselves',
	async t => {
		await handOverOften(t, 20);
	},
);

for (const version of otherVersions) {
	testUnless(noNode(version))(`Node ${version}: 5 hand-overs in a row`, async t => {
		await handOverOften(t, 5, {executable: nodeOf(version), env: {BINDLOCK_FLOCK: 'command'}});
	});
}

test.serial('old generations are killed while they drain: only the requests that they were answering fail', async t => {
	const {program, base} = await firstGeneration(t);
	const clients = startClients(t, base);
	let pid = program.pid;
	const kills: number[] = [];
	for (let round = 0; round < 5; round++) {
		process.kill(pid, 'SIGUSR2');
		const to = Number((await heard(program, 'handed over'))['to']);
		if (isAlive(pid)) process.kill(pid, 'SIGKILL');
		kills.push(performance.now());
		await until(() => clients.answers.at(-1)?.pid === to, 'the successor answers');
		pid = to;
	}
	await clients.stop();
	const failures = clients.answers.filter(({error}) => error !== undefined);
	t.log(`${summary(clients.answers)}; ${failures.length} failed`);
	// Each of the 13 clients can have one request at each killed generation. A client of a busy machine may send one more
	// before it reads the end of the connection.
	t.true(failures.length <= 2 * 13 * kills.length);
	t.deepEqual(
		failures.filter(({at}) => !kills.some(killed => at < killed + atLoad(100) && at > killed - atLoad(1000))),
		[],
		'a request far from each kill',
	);
	t.is(Number(readFileSync(`${base}.1.lock`, 'utf8').split('\n')[0]), pid);
});

test.serial('replace: no request is cut, and connections are refused only until the new server listens', async t => {
	const {program, base} = await firstGeneration(t);
	const clients = startClients(t, base);
	let last = program;
	const left = new Map<number, number>();
	for (let round = 0; round < 5; round++) {
		const next = await generation(t, base, {replace: {}});
		left.set(last.pid, performance.now());
		await until(
			() => new Set(clients.answers.filter(({pid}) => pid === next.pid).map(({kind}) => kind)).size === 4,
			'all clients are answered by the new server',
		);
		t.like(await heard(last, 'drained'), {cut: [0, 0], aborted: 0});
		await last.exited;
		last = next;
	}
	await clients.stop();
	const {answers} = clients;
	t.log(summary(answers));
	// The kernel resets the connections that the old server has not accepted when it closes its socket.
	const newConnection = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];
	t.deepEqual(
		answers.filter(({error}) => error !== undefined && !newConnection.includes(error)),
		[],
	);
	t.deepEqual(late(answers, left), []);
});
