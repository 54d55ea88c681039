/**
 * Tests programs that are bundled with the installed package into one file, which then runs alone: by esbuild as ES
 * module and as CommonJS, as single executable application of Node, and by `bun build --compile`.
 */
import {mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {noFlockCommand, testUnless} from '../helpers/abilities.js';
import {type Outcome, runToEnd} from '../helpers/command.js';
import {atLoad} from '../helpers/deadlines.js';
import {nodeOf, noNode} from '../helpers/node-versions.js';
import {root} from '../helpers/repository.js';
import {bun} from '../helpers/runtimes.js';

const directory: string = mkdtempSync(join(tmpdir(), 'bindlock-bundles-'));
const [project, alone] = [join(directory, 'project'), join(directory, 'alone')];

const program = `
import {acquire, inspect} from 'bindlock';
import {createServer} from 'node:net';

async function main() {
	const [address, what] = process.argv.slice(-2);
	const options = what === 'lease' ? {backend: 'lease'} : {};
	const lock = await acquire(address, options);
	if (what === 'crash') {
		createServer().listen(address, () => process.kill(process.pid, 'SIGKILL'));
		return;
	}
	const refused = await acquire(address, options).catch(error => error);
	console.log(lock.held, lock.reclaimed, refused.code);
	await lock.release();
}
void main();
`;

/** The kinds of bundles: how each is built in the project, and run. */
interface Bundle {
	readonly obstacle: string | undefined;
	build(): Promise<void>;
	readonly run: readonly string[];
}

const node = process.execPath;
const node26 = nodeOf(26);

const bundles: Readonly<Record<string, Bundle>> = {
	'esbuild, ES module': {
		obstacle: undefined,
		build: () => esbuild('esm', 'app.mjs'),
		run: [node, join(alone, 'app.mjs')],
	},
	'esbuild, CommonJS': {
		obstacle: undefined,
		build: () => esbuild('cjs', 'app.cjs'),
		run: [node, join(alone, 'app.cjs')],
	},
	'single executable application of Node 26': {
		obstacle: noNode(26),
		build: async () => {
			await esbuild('cjs', 'sea.cjs');
			const config = {main: 'sea.cjs', output: 'sea', disableExperimentalSEAWarning: true};
			writeFileSync(join(alone, 'sea.json'), JSON.stringify(config));
			await succeed(node26, ['--build-sea', 'sea.json'], alone);
		},
		run: [join(alone, 'sea')],
	},
	'bun build --compile': {
		obstacle: bun.obstacle,
		build: () =>
			succeed(bun.options.executable, ['build', '--compile', 'app.js', '--outfile', join(alone, 'bun')], project),
		run: [join(alone, 'bun')],
	},
};

async function succeed(command: string, args: readonly string[], cwd: string): Promise<void> {
	const {status, stdout, stderr} = await runToEnd(command, args, {cwd, deadlineMs: 110_000});
	if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
}

function esbuild(format: string, file: string): Promise<void> {
	const command = join(root, 'node_modules/esbuild/bin/esbuild');
	const options = ['--bundle', '--platform=node', `--format=${format}`, `--outfile=${join(alone, file)}`];
	return succeed(command, ['app.js', ...options], project);
}

test.serial.before('install the packed package', async t => {
	t.timeout(atLoad(120_000));
	for (const each of [project, alone]) mkdirSync(each);
	writeFileSync(join(project, 'package.json'), '{"private": true, "type": "module"}');
	writeFileSync(join(project, 'app.js'), program);
	await succeed('npm', ['pack', '--silent', '--pack-destination', directory], root);
	const tarball = join(directory, readdirSync(directory).find(name => name.endsWith('.tgz')) ?? '');
	await succeed('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball], project);
});

test.after.always('remove the projects', () => rmSync(directory, {recursive: true, force: true}));

for (const [index, [title, {obstacle, build, run}]] of Object.entries(bundles).entries()) {
	testUnless(obstacle, noFlockCommand())(`${title}: acquire, refuse, take over after a crash, lease`, async t => {
		t.timeout(atLoad(120_000));
		await build();
		const [command = '', ...args] = run;
		const outcomeOf = (name: string, what: string): Promise<Outcome> =>
			runToEnd(command, [...args, join(directory, `${name}${index}`), what], {cwd: alone, env: {BINDLOCK_FLOCK: ''}});
		t.like(await outcomeOf('s', 'acquire'), {stdout: 'true false EADDRINUSE\n', stderr: '', status: 0});
		t.like(await outcomeOf('s', 'crash'), {signal: 'SIGKILL'});
		t.like(await outcomeOf('s', 'acquire'), {stdout: 'true true EADDRINUSE\n', stderr: ''});
		t.like(await outcomeOf('l', 'lease'), {stdout: 'true false EADDRINUSE\n', stderr: ''});
	});
}
