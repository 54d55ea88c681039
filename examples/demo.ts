/**
 * Demonstrates bindlock with real processes: a server, a second one that is refused, a `kill -9`, a third one that
 * starts. Then it does the same with plain Node. The exit status is 0 only if every step has the result that it prints.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {mkdtempSync, rmSync, unlinkSync} from 'node:fs';
import {connect, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {listen} from '../src/index.js';

type Way = 'bindlock' | 'plain' | 'unlink';

const color = process.stdout.isTTY && !process.env['NO_COLOR'];
const running: ChildProcess[] = [];
let failures = 0;

if (process.argv[2] === 'serve') await serve(process.argv[3] as Way, process.argv[4] ?? '', process.argv[5] ?? '');
else await demonstrate();

/** Runs one server of the demo. It prints one line for the parent. */
async function serve(way: Way, path: string, name: string): Promise<void> {
	const server = createServer(socket => socket.on('error', () => {}).end(`${name}\n`));
	process.stdin.on('end', () => process.exit(0)).resume();
	try {
		if (way === 'bindlock') {
			const lock = await listen(server, path);
			console.log(lock.reclaimed ? 'serves; removed a stale socket' : 'serves');
			return;
		}
		if (way === 'unlink') unlinkSync(path);
		server.on('error', error => refuse(error)).listen(path, () => console.log('serves'));
	} catch (error) {
		refuse(error as Error);
	}
}

function refuse(error: Error): void {
	console.log(`refused: ${error.message}`);
	process.exit(1);
}

async function demonstrate(): Promise<void> {
	const directory = mkdtempSync(join(tmpdir(), 'bindlock-demo-'));
	const path = join(directory, 'app.sock');
	try {
		await withBindlock(path);
		await withPlainNode(join(directory, 'plain.sock'));
	} catch (error) {
		step(false, 'the demo itself', String(error));
	} finally {
		for (const child of running) child.kill('SIGKILL');
		rmSync(directory, {recursive: true, force: true});
	}
	console.log(failures === 0 ? '\nEvery step has the printed result.' : `\n${failures} steps have another result.`);
	process.exit(failures === 0 ? 0 : 1);
}

async function withBindlock(path: string): Promise<void> {
	title('With bindlock');
	const first = await start('bindlock', path, 'first');
	step(first.said === 'serves', `the first server (pid ${first.pid})`, first.said);

	const second = await start('bindlock', path, 'second');
	const told = second.said.includes('EADDRINUSE') && second.said.includes(`pid ${first.pid} `);
	step(told, `the second server (pid ${second.pid})`, second.said);
	step((await reach(path)) === 'first', 'a client', `reaches the ${await reach(path)}`);

	await kill(first.child);
	step((await reach(path)) === 'ECONNREFUSED', 'the first is killed with -9:', 'its socket file is still there, stale');

	const third = await start('bindlock', path, 'third');
	step(third.said.includes('stale'), `the third server (pid ${third.pid})`, third.said);
	step((await reach(path)) === 'third', 'a client', `reaches the ${await reach(path)}`);
	await kill(third.child);
}

async function withPlainNode(path: string): Promise<void> {
	title('The same with plain Node');
	const first = await start('plain', path, 'first');
	step(first.said === 'serves', `the first server (pid ${first.pid})`, first.said);
	await kill(first.child);
	const second = await start('plain', path, 'second');
	step(second.said.includes('EADDRINUSE'), 'the first is killed with -9; the second server is', second.said);

	const third = await start('unlink', path, 'third');
	step(third.said === 'serves', 'the third server unlinks the socket file first, and', third.said);
	const fourth = await start('unlink', path, 'fourth');
	const masked = third.child.exitCode === null && (await reach(path)) === 'fourth';
	step(
		masked && fourth.said === 'serves',
		'the fourth does the same and masks the third, which is alive but unreachable:',
		`a client reaches the ${await reach(path)}`,
	);
}

/** Starts a server and waits for its line. */
async function start(way: Way, path: string, name: string): Promise<{child: ChildProcess; pid: number; said: string}> {
	const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', way, path, name], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	running.push(child);
	const lines = createInterface({input: child.stdout});
	const said = await new Promise<string>((resolve, reject) => {
		lines.once('line', resolve);
		child.once('exit', () => setImmediate(() => reject(new Error(`the ${name} server said nothing`))));
		setTimeout(() => reject(new Error(`the ${name} server said nothing for 10 s`)), 10_000).unref();
	});
	return {child, pid: child.pid ?? -1, said};
}

async function kill(child: ChildProcess): Promise<void> {
	const gone = new Promise(resolve => child.once('exit', resolve));
	child.kill('SIGKILL');
	await gone;
}

/** Returns the name of the server that a client reaches, or the error code. */
function reach(path: string): Promise<string> {
	return new Promise(resolve => {
		const socket = connect(path);
		socket.on('data', data => resolve(String(data).trim()));
		socket.on('error', error => resolve((error as NodeJS.ErrnoException).code ?? error.message));
	});
}

function title(text: string): void {
	console.log(`\n${color ? `\u001b[1m${text}\u001b[0m` : text}`);
}

function step(good: boolean, who: string, what: string): void {
	if (!good) failures++;
	const mark = good ? 'ok  ' : 'FAIL';
	const painted = color ? `\u001b[${good ? 32 : 31}m${mark}\u001b[0m` : mark;
	console.log(`  ${painted} ${who} ${what}`);
}
